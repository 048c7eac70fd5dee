"""Moments: what one pass over the pairs leaves behind, and almost every measure and aligner is computed from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from isthmus.compute import arrays
from isthmus.compute.accumulate import Lane, add_up
from isthmus.compute.arrays import Array
from isthmus.compute.devices import full_precision
from isthmus.compute.resources import Plan, blas_limited, current, plan, using
from isthmus.data.pairs import CrossDimPairs, Pairs, bad_rows
from isthmus.utils.errors import InputError
from isthmus.utils.files import load_arrays, save_arrays

#: Up to this many pairs block products are float64 unless asked otherwise.
FLOAT64_PAIRS = 50_000


class _Sums:
    """Dataclasses whose array and number fields add up."""

    def _added(self, other: Any) -> dict[str, Any]:
        return {
            f.name: getattr(self, f.name) + getattr(other, f.name)
            for f in fields(self)  # type: ignore[arg-type]
            if f.name not in ("clusters", "products", "normalize")
        }


@dataclass(frozen=True)
class Clusters(_Sums):
    """Sums over items of products of item totals: what standard errors need when an item has several partners.

    For item g with m partners: X = m x_g, Y = sum of its y rows, P = sum of its cosines.
    """

    count: int  # items
    mm: float  # sum of m^2
    mx: Array  # sum of m X, (d,)
    my: Array
    mp: float
    xx: Array  # sum of X X', (d, d)
    yy: Array
    xy: Array
    pp: float  # sum of P^2
    xp: Array  # sum of X P, (d,)
    yp: Array


@dataclass(frozen=True)
class Moments(_Sums):
    """Paired first and second moments of unit rows: n, sums of x and y, X'X, Y'Y, X'Y, and those with the cosine.

    Moments of disjoint sets of pairs add up with `+`, so streams, shards, processes and devices are one mechanism.
    Arrays are float64 and of the array library that the rows came in.

    Attributes
    ----------
    n : number of pairs
    sum_x, sum_y : (d,)
    xx, yy, xy : (d, d), the raw sums X'X, Y'Y, X'Y
    pp, xp, yp : sums of p^2, x p and y p, with p the paired cosine x.y (0 when the sides differ in width)
    clusters : the same by item when items have several partners, else None
    products : precision in which blocks were multiplied ('float32': singular values below 3e-4 of the largest are
        rounding noise; 'float64': below 3e-8)
    normalize : whether rows were divided by their norm

    >>> import numpy as np
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 10, 3))
    >>> whole, parts = Moments.of(X, Y), Moments.of(X[:4], Y[:4]) + Moments.of(X[4:], Y[4:])
    >>> bool(np.allclose(whole.xy, parts.xy, atol=1e-14)), whole.n == parts.n
    (True, True)
    """

    n: int
    sum_x: Array
    sum_y: Array
    xx: Array
    yy: Array
    xy: Array
    pp: float
    xp: Array
    yp: Array
    clusters: Clusters | None
    products: str
    normalize: bool

    @classmethod
    def of(
        cls,
        x: Any,
        y: Any = None,
        /,
        *,
        index: Any = None,
        normalize: bool = True,
        products: str | None = None,
        threads: int | None = None,
        max_memory: int | str | None = None,
        device: str | Sequence[str] | None = None,
    ) -> Moments:
        """Moments of the pairs (x, y): two arrays or sources of shape (n, d), or one `Pairs`, in blocks of rows.

        `index[j]` is the row of x that row j of y belongs to (default: row j). `products` is 'float32' or 'float64',
        the precision of the block products; None takes float64 for up to 50,000 pairs, where it costs less than a
        second, and the precision of the data above. Sums are float64 in any case. `threads`, `max_memory` and
        `device` are those of `isthmus.using`; without them what is in use there.
        Errors: `InputError` when rows are NaN, infinite or zero (it names them), or shapes do not fit.
        """
        if products not in (None, "float32", "float64"):
            raise InputError(f"products={products!r}, expected 'float32', 'float64' or None")
        pairs = x if isinstance(x, Pairs) else CrossDimPairs(x=x, y=y, index=index)
        with using(threads=threads, max_memory=max_memory, device=device) as resources:
            dtype = products_of(pairs, products)
            if resources.cluster is not None and pairs.open_spec is not None:
                found: Moments = resources.cluster.moments(pairs, normalize=normalize, products=dtype)
                return found
            return cls._of_blocks(pairs, dtype, normalize, None, (0, pairs.n_items))

    @classmethod
    def of_items(
        cls, pairs: Pairs, start: int, stop: int, /, *, rows: int, products: str, normalize: bool = True
    ) -> Moments:
        """Moments of the items start .. stop - 1 of `pairs` in blocks of `rows` items: one part of a pass.

        Parts whose bounds are multiples of `rows` add up to the whole pass, to the last digits of float64.
        """
        return cls._of_blocks(pairs, products, normalize, rows, (start, stop))

    @classmethod
    def _of_blocks(cls, pairs: Pairs, dtype: str, normalize: bool, rows: int | None, items: tuple[int, int]) -> Moments:
        how = pass_plan(pairs, dtype)
        rows = rows or how.rows
        lanes = [Lane(dtype, normalize=normalize, device=d) for d in how.devices or [None] * how.lanes]
        try:
            with blas_limited(how.blas), full_precision() if how.devices else nullcontext():
                sums, by_item = add_up(pairs.blocks(rows, *items), lanes)
        except arrays.BadRows:
            raise bad_rows(pairs, *items) from None
        clusters = Clusters(**by_item) if by_item else None
        sums["pp"] = float(sums["pp"])
        return cls(**sums, clusters=clusters, products=dtype, normalize=normalize)

    def __add__(self, other: Moments) -> Moments:
        if not isinstance(other, Moments):
            return NotImplemented
        if (self.dim_x, self.dim_y) != (other.dim_x, other.dim_y):
            raise InputError(
                f"moments of width {self.dim_x} x {self.dim_y} and of width {other.dim_x} x {other.dim_y} "
                "cannot be added; they come from different spaces"
            )
        if self.normalize != other.normalize:
            raise InputError("moments of normalised rows and of raw rows cannot be added; use one normalize= for both")
        clusters = None
        if self.clusters is not None or other.clusters is not None:
            clusters = Clusters(**self.by_item._added(other.by_item))
        products = min(self.products, other.products)  # float32 beside float64 is float32
        return replace(self, **self._added(other), clusters=clusters, products=products)

    @property
    def dim_x(self) -> int:
        return int(self.sum_x.shape[0])

    @property
    def dim_y(self) -> int:
        return int(self.sum_y.shape[0])

    @property
    def mean_x(self) -> Array:
        """Mean of x, (d,). Its length is the mean resultant length."""
        return self.sum_x / self.n

    @property
    def mean_y(self) -> Array:
        return self.sum_y / self.n

    @property
    def cov_x(self) -> Array:
        """Covariance of x with 1/n, (d, d)."""
        return self.xx / self.n - self.mean_x[:, None] * self.mean_x[None, :]

    @property
    def cov_y(self) -> Array:
        return self.yy / self.n - self.mean_y[:, None] * self.mean_y[None, :]

    @property
    def cov_xy(self) -> Array:
        """Cross-covariance of x and y with 1/n, (d, d)."""
        return self.xy / self.n - self.mean_x[:, None] * self.mean_y[None, :]

    @property
    def mean_paired(self) -> float:
        """Mean of x.y over the pairs, in [-1, 1] for unit rows (both sides of one width)."""
        if self.dim_x != self.dim_y:
            raise InputError(f"sides of width {self.dim_x} and {self.dim_y} have no paired cosine")
        return float(np.trace(arrays.to_numpy(self.xy))) / self.n

    @property
    def by_item(self) -> Clusters:
        """The sums by item; with one partner for each item they are those by pair."""
        if self.clusters is not None:
            return self.clusters
        return Clusters(
            self.n,
            float(self.n),
            self.sum_x,
            self.sum_y,
            self.mean_paired * self.n if self.dim_x == self.dim_y else 0.0,
            self.xx,
            self.yy,
            self.xy,
            self.pp,
            self.xp,
            self.yp,
        )

    def swapped(self) -> Moments:
        """The moments of (y, x)."""

        def swap(m: Any) -> Any:
            names = {"sum_x": "sum_y", "xx": "yy", "xp": "yp", "mx": "my"}
            both = {**names, **{v: k for k, v in names.items()}}
            changed = {k: getattr(m, v) for k, v in both.items() if hasattr(m, k)}
            return replace(m, **changed, xy=m.xy.T)

        return replace(swap(self), clusters=None if self.clusters is None else swap(self.clusters))

    def numpy(self) -> Moments:
        """The same with NumPy arrays; these moments themselves when they are NumPy's."""
        if arrays.is_numpy(self.xx):
            return self

        def host(m: Any) -> Any:
            arrs = {f.name: getattr(m, f.name) for f in fields(m)}
            return replace(m, **{k: arrays.to_numpy(v) for k, v in arrs.items() if hasattr(v, "shape")})

        return replace(host(self), clusters=None if self.clusters is None else host(self.clusters))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write as safetensors; the file appears whole or not at all."""
        host = self.numpy()
        tables: dict[str, np.ndarray] = {}
        for prefix, part in (("", host), ("clusters.", host.clusters)):
            for f in fields(part) if part is not None else ():
                value = getattr(part, f.name)
                if f.name not in ("clusters", "products", "normalize"):
                    tables[prefix + f.name] = np.asarray(
                        value, dtype=np.int64 if isinstance(value, int) else np.float64
                    )
        save_arrays(path, "moments", tables, {"products": self.products, "normalize": self.normalize})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Moments:
        """Moments written by `save`."""
        _, tables, header = load_arrays(path, "moments")
        values: dict[str, Any] = {k: v if v.ndim else v.item() for k, v in tables.items()}
        inner = {k.removeprefix("clusters."): v for k, v in values.items() if k.startswith("clusters.")}
        outer = {k: v for k, v in values.items() if not k.startswith("clusters.")}
        return cls(**outer, clusters=Clusters(**inner) if inner else None, **header)


#: Moments that were computed from pairs which still exist, by pairs and options.
_CACHE: WeakKeyDictionary[Pairs, dict[tuple[bool, str | None], Moments]] = WeakKeyDictionary()


def moments_of(pairs: Pairs, /, *, normalize: bool = True, products: str | None = None) -> Moments:
    """Return `Moments.of(pairs)`, computed once for each choice of options as long as the pairs exist.

    >>> import isthmus
    >>> pairs = isthmus.demo.load("plain")
    >>> moments_of(pairs) is moments_of(pairs)
    True
    """
    cached = _CACHE.setdefault(pairs, {})
    key = (normalize, products)
    if key not in cached:
        cached[key] = Moments.of(pairs, normalize=normalize, products=products)
    return cached[key]


def products_of(pairs: Pairs, products: str | None) -> str:
    """The precision of block products: the one asked for, else float64 for few pairs and that of the data for many."""
    wide = any(arrays.compute_dtype(s.dtype, None) == "float64" for s in (pairs.x, pairs.y))
    return products or ("float64" if wide or pairs.n_pairs <= FLOAT64_PAIRS else "float32")


def pass_plan(pairs: Pairs, dtype: str) -> Plan:
    """How a pass over `pairs` is cut."""
    resources = current()
    if not (pairs.x.is_numpy and pairs.y.is_numpy):  # rows of other libraries stay where they are, with their threads
        resources = replace(resources, threads=1, devices=())
    partners = 1.0 if pairs.index is None else max(pairs.n_pairs / pairs.n_items, 1.0)
    dims = pairs.x.shape[1], pairs.y.shape[1]
    sides = (pairs.x, pairs.y)
    return plan(
        resources,
        *dims,
        items=pairs.n_items,
        itemsize=8 if dtype == "float64" else 4,
        partners=partners,
        read=max(8 if arrays.compute_dtype(side.dtype, None) == "float64" else 4 for side in sides),
        unpacked=not all(side.random_access for side in sides),
    )

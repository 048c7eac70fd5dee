"""Moments: what one pass over the pairs leaves behind, and almost every measure and aligner is computed from."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np

from isthmus import arrays
from isthmus.arrays import Array
from isthmus.checks import InputError
from isthmus.files import load_arrays, save_arrays
from isthmus.pairs import Pairs, PairsOfTwoSpaces, bad_rows

T = TypeVar("T")

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
    ) -> Moments:
        """Moments of the pairs (x, y): two arrays or sources of shape (n, d), or one `Pairs`, in blocks of rows.

        `index[j]` is the row of x that row j of y belongs to (default: row j). `products` is 'float32' or 'float64',
        the precision of the block products; None takes float64 for up to 50,000 pairs, where it costs less than a
        second, and the precision of the data above. Sums are float64 in any case.
        Errors: `InputError` when rows are NaN, infinite or zero (it names them), or shapes do not fit.
        """
        if products not in (None, "float32", "float64"):
            raise InputError(f"products={products!r}, expected 'float32', 'float64' or None")
        pairs = x if isinstance(x, Pairs) else PairsOfTwoSpaces(x=x, y=y, index=index)
        wide = any(arrays.compute_dtype(s.dtype, None) == "float64" for s in (pairs.x, pairs.y))
        dtype = products or ("float64" if wide or pairs.n <= FLOAT64_PAIRS else "float32")
        clean_x, clean_y = (
            arrays.Blocks(dtype, normalize=normalize),
            arrays.Blocks(dtype, normalize=normalize),
        )
        sums: dict[str, Any] = {}
        by_item: dict[str, Any] = {}

        def clean(block: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
            return clean_x(block[0]), clean_y(block[1]), block[2]

        try:
            for unit_x, unit_y, owner in _one_ahead(clean, pairs.blocks()):
                if owner is None:
                    _accumulate(sums, _block(unit_x, unit_y))
                else:
                    part, part_by_item = _grouped_block(arrays.to_numpy(unit_x), arrays.to_numpy(unit_y), owner)
                    _accumulate(sums, part)
                    _accumulate(by_item, part_by_item)
        except arrays.BadRows:
            raise bad_rows(pairs) from None
        clusters = Clusters(**by_item) if by_item else None
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


def _one_ahead(work: Callable[[T], T], items: Iterable[T]) -> Iterator[T]:
    """`work(item)` for each item in order, the next one made by a thread while the caller uses this one: reading and
    normalising then overlap with the products."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        ready: Future[T] | None = None
        for item in items:
            coming = pool.submit(work, item)
            if ready is not None:
                yield ready.result()
            ready = coming
        if ready is not None:
            yield ready.result()


def _accumulate(sums: dict[str, Any], part: dict[str, Any]) -> None:
    """Add `part` to the float64 `sums`, in place where the library allows it."""
    for name, value in part.items():
        if name in sums:
            sums[name] += value
        else:
            sums[name] = arrays.float64(value) if hasattr(value, "shape") and value.shape else value


def _block(x: Array, y: Array) -> dict[str, Any]:
    """The sums of one block of pairs: products in the precision of the rows."""
    xp = arrays.namespace(x, y)
    p = arrays.row_dot(x, y) if x.shape[1] == y.shape[1] else xp.zeros(x.shape[0], dtype=x.dtype)
    return {
        "n": int(x.shape[0]),
        "sum_x": xp.sum(x, axis=0, dtype=xp.float64),
        "sum_y": xp.sum(y, axis=0, dtype=xp.float64),
        "xx": x.T @ x,
        "yy": y.T @ y,
        "xy": x.T @ y,
        "pp": float(xp.sum(p * p, dtype=xp.float64)),
        "xp": x.T @ p,
        "yp": y.T @ p,
    }


def _grouped_block(x: np.ndarray, y: np.ndarray, owner: np.ndarray) -> tuple[dict[str, Any], dict[str, Any]]:
    """The sums of a block in which item g (row of x) has the rows of y with owner g, by pair and by item.

    Rows of y are sorted by owner.
    """
    counts = np.bincount(owner, minlength=len(x))
    kept = np.flatnonzero(counts)  # items without a partner form no pair
    x, counts = x[kept].astype(np.float64), counts[kept]
    y = y.astype(np.float64)
    begins = np.concatenate([[0], np.cumsum(counts)[:-1]])
    y_item = np.add.reduceat(y, begins, axis=0)
    p = arrays.row_dot(np.repeat(x, counts, axis=0), y) if x.shape[1] == y.shape[1] else np.zeros(len(y))
    p_item = np.add.reduceat(p, begins)
    x_item = x * counts[:, None]
    by_pair = {
        "n": len(y), "sum_x": x_item.sum(axis=0), "sum_y": y.sum(axis=0),
        "xx": x_item.T @ x, "yy": y.T @ y, "xy": x.T @ y_item,
        "pp": float(p @ p), "xp": x.T @ p_item, "yp": y.T @ p,
    }  # fmt: skip
    by_item = {
        "count": len(kept), "mm": float(counts @ counts), "mx": counts @ x_item, "my": counts @ y_item,
        "mp": float(counts @ p_item), "xx": x_item.T @ x_item, "yy": y_item.T @ y_item, "xy": x_item.T @ y_item,
        "pp": float(p_item @ p_item), "xp": x_item.T @ p_item, "yp": y_item.T @ p_item,
    }  # fmt: skip
    return by_pair, by_item

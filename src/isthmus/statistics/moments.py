"""Paired first and second moments: the sums that almost every measure and aligner is computed from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from isthmus.compute import arrays
from isthmus.compute.accumulate import Accumulator, accumulate_blocks
from isthmus.compute.arrays import Array
from isthmus.compute.cluster import Cluster
from isthmus.compute.devices import full_precision
from isthmus.compute.resources import config_context
from isthmus.compute.threads import blas_limited
from isthmus.data.cross_dim_pairs import CrossDimPairs
from isthmus.data.invalid_rows import invalid_rows_error
from isthmus.data.open_spec import OpenSpec
from isthmus.data.pairs import Pairs
from isthmus.data.worker_pairs import open_cached
from isthmus.statistics.item_moments import ItemMoments, covariance_of_sums
from isthmus.statistics.moments_pass import distinct_rows, gemm_dtype, plan_moments, reported_blocks
from isthmus.utils.errors import InputError
from isthmus.utils.files import load_arrays, save_arrays

#: Fields that are no sums.
_SETTINGS = ("item_moments", "matmul_dtype", "normalize")
#: Fields of the two modalities that `swapped` exchanges.
_SWAPS = (("sum_x", "sum_y"), ("xx", "yy"), ("cos_x", "cos_y"), ("count_x", "count_y"), ("n_x", "n_y"))


@dataclass(frozen=True)
class Moments:
    """Paired first and second moments of rows: n, sums of x and y, X'X, Y'Y, X'Y, and sums with the paired cosine.

    Moments of disjoint sets of pairs add up with `+`, which makes streams, shards, processes and devices one
    mechanism. Arrays are float64 and belong to the array library of the rows. `Moments.of` computes them.

    Parameters
    ----------
    n : int
        Number of pairs.
    sum_x, sum_y : (d_x,) and (d_y,) array
        Sums of the rows.
    xx, yy, xy : (d_x, d_x), (d_y, d_y) and (d_x, d_y) array
        Raw sums X'X, Y'Y and X'Y.
    cos_sq : float
        Sum of p^2, with p the paired cosine x.y (0 if the two dimensions differ).
    cos_x, cos_y : (d_x,) and (d_y,) array
        Sums of p x and of p y.
    item_moments : ItemMoments or None
        Sums by item if items have several pairs.
    matmul_dtype : {'float32', 'float64'}
        Precision in which blocks were multiplied. With 'float32', singular values below 3e-4 of the largest are
        rounding noise. With 'float64', those below 3e-8 are.
    normalize : bool
        Whether rows were divided by their norm.

    Examples
    --------
    >>> import numpy as np
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 10, 3))
    >>> moments, total = Moments.of(X, Y), Moments.of(X[:4], Y[:4]) + Moments.of(X[4:], Y[4:])
    >>> bool(np.allclose(moments.xy, total.xy, atol=1e-14)), moments.n == total.n
    (True, True)
    """

    n: int
    sum_x: Array
    sum_y: Array
    xx: Array
    yy: Array
    xy: Array
    cos_sq: float
    cos_x: Array
    cos_y: Array
    item_moments: ItemMoments | None
    matmul_dtype: str
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
        matmul_dtype: str | None = None,
        threads: int | None = None,
        max_memory: int | str | None = None,
        device: str | Sequence[str] | None = None,
    ) -> Moments:
        """Compute the moments of the pairs (x, y) in one pass, in blocks of rows.

        Parameters
        ----------
        x, y : (n, d) arrays or sources
            Rows of the two modalities. `x` may also be `Pairs`, without `y`.
        index : (n_y,) int array, optional
            Row of x to which each row of y belongs. Default: row i belongs to row i.
        normalize : bool, default True
            Divide rows by their norm first.
        matmul_dtype : {'float32', 'float64'}, optional
            Precision of the block products. Default: float64 for up to 50,000 pairs, where it costs less than a
            second, and the precision of the data above. Sums are float64 in any case.
        threads, max_memory, device : optional
            As in `isthmus.config_context`, whose values are the default.

        Returns
        -------
        Moments
            The moments.

        Raises
        ------
        InputError
            If rows are NaN, infinite or zero (the message lists them), or if shapes do not match.
        """
        if matmul_dtype not in (None, "float32", "float64"):
            raise InputError(f"matmul_dtype={matmul_dtype!r}, expected 'float32', 'float64' or None")
        pairs = x if isinstance(x, Pairs) else CrossDimPairs(x=x, y=y, index=index)
        with config_context(threads=threads, max_memory=max_memory, device=device) as resources:
            dtype, cluster = gemm_dtype(pairs, matmul_dtype), resources.cluster
            if cluster is not None and pairs.open_spec is not None:
                return _moments_on_cluster(cluster, pairs, matmul_dtype=dtype, normalize=normalize)
            return cls._of_blocks(pairs, dtype, normalize, None, (0, pairs.n_items))

    @classmethod
    def of_items(
        cls, pairs: Pairs, start: int, stop: int, /, *, rows: int, matmul_dtype: str, normalize: bool = True
    ) -> Moments:
        """Compute the moments of the items start .. stop - 1, as one part of a pass.

        Parts whose bounds are multiples of `rows` add up to the whole pass, to the last digits of float64.

        Parameters
        ----------
        pairs : Pairs
            All pairs.
        start, stop : int
            Range of items.
        rows : int
            Items in a block.
        matmul_dtype : {'float32', 'float64'}
            Precision of the block products.
        normalize : bool, default True
            Divide rows by their norm first.

        Returns
        -------
        Moments
            The moments of these items.
        """
        return cls._of_blocks(pairs, matmul_dtype, normalize, rows, (start, stop))

    @classmethod
    def _of_blocks(cls, pairs: Pairs, dtype: str, normalize: bool, rows: int | None, items: tuple[int, int]) -> Moments:
        plan = plan_moments(pairs, dtype)
        devices: Sequence[str | None] = plan.devices or [None] * plan.n_workers
        accumulators = [Accumulator(dtype, normalize=normalize, device=device) for device in devices]
        try:
            with blas_limited(plan.blas_threads), full_precision() if plan.devices else nullcontext():
                sums, by_item = accumulate_blocks(reported_blocks(pairs, rows or plan.rows, *items), accumulators)
        except arrays.InvalidRowsError:
            by_position = pairs.index is None and pairs.y_groups is None
            raise invalid_rows_error(pairs.x, pairs.y, *items, by_position=by_position) from None
        sums |= {"cos_sq": float(sums["cos_sq"]), "matmul_dtype": dtype, "normalize": normalize}
        moments = cls(**sums, item_moments=None)
        if by_item or pairs.y_groups is not None:
            if not by_item or (pairs.dependence and np.ptp(pairs.owner)):  # both orders of the modalities are equal
                by_item = vars(moments.by_item)
            moments = replace(moments, item_moments=ItemMoments(**by_item | distinct_rows(pairs, *items)))
        return moments

    def __repr__(self) -> str:
        return f"Moments({self.n:,} pairs, dimensions {self.dim_x:,} and {self.dim_y:,})"

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
        item_moments = None
        if self.item_moments is not None or other.item_moments is not None:
            item_moments = ItemMoments(**_field_sums(self.by_item, other.by_item))
        dtype = min(self.matmul_dtype, other.matmul_dtype)  # float32 beside float64 is float32
        return replace(self, **_field_sums(self, other), item_moments=item_moments, matmul_dtype=dtype)

    @property
    def dim_x(self) -> int:
        """Dimension of x."""
        return int(self.sum_x.shape[0])

    @property
    def dim_y(self) -> int:
        """Dimension of y."""
        return int(self.sum_y.shape[0])

    @property
    def mean_x(self) -> Array:
        """Mean of x, (d_x,). Its length is the mean resultant length."""
        return self.sum_x / self.n

    @property
    def mean_y(self) -> Array:
        """Mean of y, (d_y,)."""
        return self.sum_y / self.n

    @property
    def cov_x(self) -> Array:
        """Covariance of x with 1/n, (d_x, d_x)."""
        return covariance_of_sums(self.xx, self.n, self.mean_x, self.mean_x)

    @property
    def cov_y(self) -> Array:
        """Covariance of y with 1/n, (d_y, d_y)."""
        return covariance_of_sums(self.yy, self.n, self.mean_y, self.mean_y)

    @property
    def cov_xy(self) -> Array:
        """Cross-covariance of x and y with 1/n, (d_x, d_y)."""
        return covariance_of_sums(self.xy, self.n, self.mean_x, self.mean_y)

    @property
    def mean_paired(self) -> float:
        """Mean of x.y over the pairs, in [-1, 1] for unit rows. Raises `InputError` if the two dimensions differ."""
        if self.dim_x != self.dim_y:
            raise InputError(f"rows of width {self.dim_x} and {self.dim_y} have no paired cosine")
        return float(np.trace(arrays.to_numpy(self.xy))) / self.n

    @property
    def by_item(self) -> ItemMoments:
        """Sums by item. If every item has one pair, they are the sums by pair."""
        if self.item_moments is not None:
            return self.item_moments
        return ItemMoments(
            n_items=self.n,
            count_sq=float(self.n),
            count_x=self.sum_x,
            count_y=self.sum_y,
            count_cos=self.mean_paired * self.n if self.dim_x == self.dim_y else 0.0,
            xx=self.xx,
            yy=self.yy,
            xy=self.xy,
            cos_sq=self.cos_sq,
            cos_x=self.cos_x,
            cos_y=self.cos_y,
            n_x=self.n,
            n_y=self.n,
        )

    @property
    def n_distinct(self) -> tuple[int, int]:
        """Numbers of distinct rows of x and of y in the pairs."""
        m = self.by_item
        return m.n_x or m.n_items, m.n_y or self.n

    def swapped(self) -> Moments:
        """Return the moments of (y, x).

        Returns
        -------
        Moments
            The same sums with x and y exchanged.
        """

        def swap(sums: Any) -> Any:
            names = dict([*_SWAPS, *((b, a) for a, b in _SWAPS)])
            changes = {name: getattr(sums, source) for name, source in names.items() if hasattr(sums, name)}
            return replace(sums, **changes, xy=sums.xy.T)

        return replace(swap(self), item_moments=None if self.item_moments is None else swap(self.item_moments))

    def numpy(self) -> Moments:
        """Return the moments with NumPy arrays.

        Returns
        -------
        Moments
            These moments themselves if they are NumPy arrays already.
        """
        if arrays.is_numpy(self.xx):
            return self

        def to_host(sums: Any) -> Any:
            values = {f.name: getattr(sums, f.name) for f in fields(sums)}
            return replace(sums, **{k: arrays.to_numpy(v) for k, v in values.items() if hasattr(v, "shape")})

        return replace(to_host(self), item_moments=None if self.item_moments is None else to_host(self.item_moments))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the moments as a safetensors file, atomically.

        Parameters
        ----------
        path : path-like
            File to write. `Moments.load` and `isthmus.load` read it.
        """
        host = self.numpy()
        tables: dict[str, np.ndarray] = {}
        for prefix, sums in (("", host), ("item_moments.", host.item_moments)):
            for f in fields(sums) if sums is not None else ():
                value = getattr(sums, f.name)
                if f.name not in _SETTINGS:
                    tables[prefix + f.name] = np.asarray(value, np.int64 if isinstance(value, int) else np.float64)
        save_arrays(path, "moments", tables, {"matmul_dtype": self.matmul_dtype, "normalize": self.normalize})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Moments:
        """Read moments that `save` wrote.

        Parameters
        ----------
        path : path-like
            File of saved moments.

        Returns
        -------
        Moments

        Raises
        ------
        InputError
            If the file is incomplete or holds something else.
        """
        _, tables, header = load_arrays(path, "moments")
        values: dict[str, Any] = {name: table if table.ndim else table.item() for name, table in tables.items()}
        prefix = "item_moments."
        by_item = {name.removeprefix(prefix): v for name, v in values.items() if name.startswith(prefix)}
        by_pair = {name: v for name, v in values.items() if not name.startswith(prefix)}
        return cls(**by_pair, item_moments=ItemMoments(**by_item) if by_item else None, **header)


def _field_sums(first: Any, second: Any) -> dict[str, Any]:
    """Return the sums of the fields of two dataclasses, without the settings of `Moments`."""
    names = [f.name for f in fields(first) if f.name not in _SETTINGS]
    return {name: getattr(first, name) + getattr(second, name) for name in names}


def _moments_on_cluster(cluster: Cluster, pairs: Pairs, **options: Any) -> Moments:
    """Compute the moments on the workers, in parts of full blocks, so that the sums are those of one process."""
    rows = plan_moments(pairs, options["matmul_dtype"]).rows
    ranges = cluster.split(pairs.n_items, rows)
    moments: Moments = cluster.tree_reduce(_moments_part, pairs.open_spec, ranges, "moments", rows=rows, **options)
    return moments


def _moments_part(spec: OpenSpec, start: int, stop: int, **options: Any) -> Moments:
    """Compute one part of a pass on a worker."""
    return Moments.of_items(open_cached(spec), start, stop, **options)


#: Moments that were computed from pairs which still exist, by pairs and options.
_CACHE: WeakKeyDictionary[Pairs, dict[tuple[bool, str | None], Moments]] = WeakKeyDictionary()


def moments_of(
    pairs: Pairs, /, *, normalize: bool = True, matmul_dtype: str | None = None, known: Moments | None = None
) -> Moments:
    """Return `Moments.of(pairs)`, computed once for each choice of options while the pairs exist.

    Parameters
    ----------
    pairs : Pairs
        The pairs.
    normalize : bool, default True
        Divide rows by their norm first.
    matmul_dtype : {'float32', 'float64'}, optional
        Precision of the block products, see `Moments.of`.
    known : Moments, optional
        Moments of the pairs that are known already, such as the sum of those of parts.

    Returns
    -------
    Moments
        The moments.

    Examples
    --------
    >>> import isthmus
    >>> pairs = isthmus.demo.load("plain")
    >>> moments_of(pairs) is moments_of(pairs)
    True
    """
    moments_by_options, options = _CACHE.setdefault(pairs, {}), (normalize, matmul_dtype)
    if options not in moments_by_options:
        moments_by_options[options] = known or Moments.of(pairs, normalize=normalize, matmul_dtype=matmul_dtype)
    return moments_by_options[options]

"""A first look at embedding files: what is in them, what is wrong with them, and whether two of them look paired."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from isthmus.compute.arrays import to_numpy, unit_rows
from isthmus.compute.resources import block_rows
from isthmus.data.joins import select_rows
from isthmus.data.pairs import Pairs
from isthmus.data.sources import Source
from isthmus.statistics.intervals import debiased_mean_products, linear_variance
from isthmus.statistics.moments import Moments
from isthmus.statistics.result import NAN

#: Rows that are compared for duplicates; eight bytes each are kept.
MOST_COMPARED = 10_000_000
#: Pairs that the pairing test looks at.
MOST_PAIRED = 2_000
#: Standard errors above which partners are clearly more alike than strangers.
CLEAR = 4.0


@dataclass(frozen=True)
class Inspection:
    """One source: sizes, norms of its usable rows, and the rows that are not usable (first ones and counts)."""

    where: str
    format: str
    rows: int
    width: int
    dtype: str
    norm_low: float
    norm_mean: float
    norm_high: float
    non_finite: int
    non_finite_rows: list[int]
    zero: int
    zero_rows: list[int]
    duplicates: int
    rows_compared: int

    def to_dict(self) -> dict[str, Any]:
        return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(self).items()}


@dataclass(frozen=True)
class Pairing:
    """Whether row i of one source looks like the partner of row i of the other.

    `paired` and `unpaired` are mean cosines, `z` their difference in standard errors; `reason` says it in words.
    """

    looks_paired: bool
    reason: str
    paired: float = NAN
    unpaired: float = NAN
    z: float = NAN

    def to_dict(self) -> dict[str, Any]:
        return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(self).items()}


def inspect(source: Source, /) -> Inspection:
    """Look at every row of `source` once, in blocks."""
    low, high, total, count = math.inf, -math.inf, 0.0, 0
    non_finite: list[np.ndarray] = []
    zero: list[np.ndarray] = []
    hashes: list[np.ndarray] = []
    size = block_rows(source.shape[1])
    multipliers = np.random.default_rng(0).integers(1, 2**63, size=source.shape[1], dtype=np.uint64) * 2 + 1
    for start in range(0, source.shape[0], size):
        block = to_numpy(source.read(start, start + size))
        with np.errstate(over="ignore", invalid="ignore"):
            norms = np.sqrt(np.einsum("ij,ij->i", block, block, dtype=np.float64))
        finite = np.isfinite(block).all(axis=1)
        non_finite.append(start + np.flatnonzero(~finite))
        zero.append(start + np.flatnonzero(norms == 0))
        usable = norms[finite & (norms > 0)]
        if len(usable):
            low, high = min(low, float(usable.min())), max(high, float(usable.max()))
            total, count = total + float(usable.sum()), count + len(usable)
        if start < MOST_COMPARED:
            hashes.append(_row_hashes(block, multipliers))
    compared = np.concatenate(hashes)
    broken, empty = np.concatenate(non_finite), np.concatenate(zero)
    return Inspection(
        where=source.where, format=source.format, rows=source.shape[0], width=source.shape[1], dtype=source.dtype,
        norm_low=low if count else NAN, norm_mean=total / count if count else NAN, norm_high=high if count else NAN,
        non_finite=len(broken), non_finite_rows=broken[:5].tolist(), zero=len(empty), zero_rows=empty[:5].tolist(),
        duplicates=len(compared) - len(np.unique(compared)), rows_compared=len(compared),
    )  # fmt: skip


def looks_paired(x: Source, y: Source, /) -> Pairing:
    """Compare the cosines of partners with those of strangers, on a random sample of at most 2,000 pairs."""
    if x.shape[0] != y.shape[0]:
        return Pairing(False, f"no: {x.shape[0]:,} rows against {y.shape[0]:,}")
    if x.shape[1] != y.shape[1]:
        return Pairing(False, f"no cosine to compare: width {x.shape[1]} against {y.shape[1]}")
    rows = np.arange(x.shape[0])
    if len(rows) > MOST_PAIRED:
        rows = np.sort(np.random.default_rng(0).choice(len(rows), MOST_PAIRED, replace=False))
    a, b = (unit_rows(to_numpy(s.take(rows)).astype(np.float64)) for s in (x, y))
    usable = np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1) & a.any(axis=1) & b.any(axis=1)
    if usable.sum() < 8:
        return Pairing(False, f"only {usable.sum()} usable rows to compare")
    m = Moments.of(Pairs(x=a[usable], y=b[usable]), matmul_dtype="float64")
    strangers = debiased_mean_products(m)[0]
    error = math.sqrt(linear_variance(m, -m.mean_y, -m.mean_x, 1.0))
    z = (m.mean_paired - strangers) / error if error else math.inf * np.sign(m.mean_paired - strangers)
    says = f"mean cosine {m.mean_paired:.3f} for partners, {strangers:.3f} for strangers, z = {z:.1f}"
    if z > CLEAR:
        return Pairing(True, f"yes: {says}", m.mean_paired, strangers, z)
    return Pairing(False, f"no sign of it: {says}; check the order of the rows", m.mean_paired, strangers, z)


def partners(pairs: Pairs, /) -> tuple[Source, Source]:
    """Both sides of `pairs` with row i of one the partner of row i of the other: the first of each item."""
    if pairs.index is None:
        return pairs.x, pairs.y
    items, first = np.unique(pairs.index, return_index=True)
    return select_rows(pairs.x, items), select_rows(pairs.y, first)


def _row_hashes(block: np.ndarray, multipliers: np.ndarray) -> np.ndarray:
    """A 64-bit hash of the bits of each row: integer sums, so equal rows have equal hashes wherever they stand."""
    words = np.ascontiguousarray(block).view(f"u{block.dtype.itemsize}").astype(np.uint64)
    words ^= words >> np.uint64(29)
    return (words * multipliers).sum(axis=1, dtype=np.uint64)

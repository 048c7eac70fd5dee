"""Inspection of embedding files: their content, their invalid rows, and whether two of them look paired."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from isthmus.compute.arrays import to_numpy, unit_rows
from isthmus.compute.resources import block_rows
from isthmus.data.hashing import hash_rows
from isthmus.data.joins import select_rows
from isthmus.data.pairs import Pairs
from isthmus.data.sources import Source
from isthmus.diagnosis.verdict_sentences import SEPARATE_SPACES
from isthmus.statistics.degeneracy import UNJUDGED_KINDS, find_degeneracies
from isthmus.statistics.mean_intervals import debiased_mean_products, linear_variance
from isthmus.statistics.moments import Moments
from isthmus.statistics.result import NAN

#: Rows that are compared for duplicates. Eight bytes of each are kept.
MAX_COMPARED_ROWS = 10_000_000
#: Pairs in the sample of the pairing test.
MAX_SAMPLED_PAIRS = 2_000
#: Fewest valid pairs for the pairing test.
MIN_PAIRS = 8
#: Standard errors by which the cosine of pairs must exceed that of non-matching rows.
Z_THRESHOLD = 4.0
#: Shuffles of the pairing behind the null of a rotation.
ROTATION_SHUFFLES = 20
#: Standard deviations of that null by which pairs must exceed it.
ROTATION_Z_THRESHOLD = 6.0
#: Robust standard deviations by which the covariance at one offset of the rows must exceed that at other offsets.
OFFSET_Z_THRESHOLD = 8.0
#: Fewest pairs, and most principal directions of each modality, for the test of a rotation.
MIN_ROTATION_PAIRS, MAX_ROTATION_DIRECTIONS = 50, 128
#: Row numbers that an inspection lists.
MAX_LISTED_ROWS = 5


@dataclass(frozen=True)
class Inspection:
    """Sizes, norms and invalid rows of one source.

    Parameters
    ----------
    where : str
        File and member.
    format : str
        Name of the format.
    rows : int
        Number of rows n.
    width : int
        Number of columns d.
    dtype : str
        Name of the dtype.
    norm_low : float
        Smallest Euclidean norm of a valid row. NaN if no row is valid.
    norm_mean : float
        Mean norm of the valid rows.
    norm_high : float
        Largest norm of a valid row.
    non_finite : int
        Number of rows with NaN or infinite values.
    non_finite_rows : list of int
        Numbers of the first five of them.
    zero : int
        Number of rows that are all zero.
    zero_rows : list of int
        Numbers of the first five of them.
    duplicates : int
        Number of rows that equal an earlier row, among `rows_compared`.
    rows_compared : int
        Number of rows, from the first on, that were compared.

    Examples
    --------
    >>> import numpy as np
    >>> report = inspect(Source(np.array([[3.0, 4.0], [3.0, 4.0], [0.0, 0.0]]), address="x"))
    >>> report.norm_mean, report.zero_rows, report.duplicates
    (5.0, [2], 1)
    """

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
        """Return the fields as plain values.

        Returns
        -------
        dict
            One entry per field, NaN as None.
        """
        return _plain_fields(self)


@dataclass(frozen=True)
class Pairing:
    """Result of the test that row i of one source matches row i of the other.

    Parameters
    ----------
    looks_paired : bool
        Whether `z` exceeds 4.
    reason : str
        The answer in a sentence.
    paired : float
        Mean cosine of the pairs.
    unpaired : float
        Mean cosine of non-matching rows.
    z : float
        Difference of the two in standard errors.

    Examples
    --------
    >>> import isthmus
    >>> pairs = isthmus.demo.load("plain")
    >>> looks_paired(pairs.x, pairs.y).looks_paired
    True
    """

    looks_paired: bool
    reason: str
    paired: float = NAN
    unpaired: float = NAN
    z: float = NAN

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values.

        Returns
        -------
        dict
            One entry per field, NaN as None.
        """
        return _plain_fields(self)


def inspect(source: Source, /) -> Inspection:
    """Read every row of a source once, in blocks, and describe them.

    Parameters
    ----------
    source : Source
        Rows (n, d).

    Returns
    -------
    Inspection
        Sizes, norms, invalid rows and duplicates.

    Examples
    --------
    >>> import numpy as np
    >>> inspect(Source(np.eye(3), address="x")).norm_high
    1.0
    """
    low, high, total, n_valid = math.inf, -math.inf, 0.0, 0
    non_finite: list[np.ndarray] = []
    zero: list[np.ndarray] = []
    hashes: list[np.ndarray] = []
    size = block_rows(source.shape[1])
    for start in range(0, source.shape[0], size):
        block = to_numpy(source.read(start, start + size))
        with np.errstate(over="ignore", invalid="ignore"):
            norms = np.sqrt(np.einsum("ij,ij->i", block, block, dtype=np.float64))
        finite = np.isfinite(block).all(axis=1)
        non_finite.append(start + np.flatnonzero(~finite))
        zero.append(start + np.flatnonzero(norms == 0))
        valid_norms = norms[finite & (norms > 0)]
        if len(valid_norms):
            low, high = min(low, float(valid_norms.min())), max(high, float(valid_norms.max()))
            total, n_valid = total + float(valid_norms.sum()), n_valid + len(valid_norms)
        if start < MAX_COMPARED_ROWS:
            hashes.append(hash_rows(block))
    compared = np.concatenate(hashes)
    non_finite_rows, zero_rows = np.concatenate(non_finite), np.concatenate(zero)
    return Inspection(
        where=source.address,
        format=source.format,
        rows=source.shape[0],
        width=source.shape[1],
        dtype=source.dtype,
        norm_low=low if n_valid else NAN,
        norm_mean=total / n_valid if n_valid else NAN,
        norm_high=high if n_valid else NAN,
        non_finite=len(non_finite_rows),
        non_finite_rows=non_finite_rows[:MAX_LISTED_ROWS].tolist(),
        zero=len(zero_rows),
        zero_rows=zero_rows[:MAX_LISTED_ROWS].tolist(),
        duplicates=len(compared) - len(np.unique(compared)),
        rows_compared=len(compared),
    )


def looks_paired(x: Source, y: Source, /) -> Pairing:
    """Test whether row i of `x` matches row i of `y`, by the cosines of a random sample of at most 2,000 pairs.

    The sources look paired if the mean cosine of the pairs exceeds that of non-matching rows by more than 4 standard
    errors. If a modality is constant or collapsed, the reason says so and not that the order of the rows is wrong. If
    only a rotation of one modality would align the pairs, the rows match and the two spaces differ.

    Parameters
    ----------
    x : Source
        Rows (n, d).
    y : Source
        Rows (n, d).

    Returns
    -------
    Pairing
        The answer, the two mean cosines and their difference in standard errors.

    Examples
    --------
    >>> import isthmus, numpy as np
    >>> pairs = isthmus.demo.load("plain")
    >>> shuffled = pairs.take(np.random.default_rng(0).permutation(pairs.n_items))
    >>> looks_paired(pairs.x, shuffled.y).looks_paired
    False
    """
    if x.shape[0] != y.shape[0]:
        return Pairing(False, f"no: {x.shape[0]:,} rows against {y.shape[0]:,}")
    if x.shape[1] != y.shape[1]:
        return Pairing(False, f"no cosine to compare: width {x.shape[1]} against {y.shape[1]}; they {SEPARATE_SPACES}")
    rows = np.arange(x.shape[0])
    if len(rows) > MAX_SAMPLED_PAIRS:
        rows = np.sort(np.random.default_rng(0).choice(len(rows), MAX_SAMPLED_PAIRS, replace=False))
    unit_x, unit_y = (unit_rows(to_numpy(source.take(rows)).astype(np.float64)) for source in (x, y))
    valid = np.isfinite(unit_x).all(axis=1) & np.isfinite(unit_y).all(axis=1) & unit_x.any(axis=1) & unit_y.any(axis=1)
    if valid.sum() < MIN_PAIRS:
        return Pairing(False, f"only {valid.sum()} usable rows to compare")
    moments = Moments.of(Pairs(x=unit_x[valid], y=unit_y[valid]), matmul_dtype="float64")
    paired, unpaired = moments.mean_paired, debiased_mean_products(moments)[0]
    error = math.sqrt(linear_variance(moments, -moments.mean_y, -moments.mean_x, 1.0))
    difference = paired - unpaired
    z = difference / error if error else math.copysign(math.inf, difference) if difference else 0.0
    cosines = f"mean cosine {paired:.3f} for pairs, {unpaired:.3f} for non-matching rows, z = {z:.1f}"
    degeneracies = find_degeneracies(moments.numpy(), ("the first source", "the second source"))
    unjudged = [entry for entry in degeneracies if entry.kind in UNJUDGED_KINDS]
    if any(entry.kind == "constant" for entry in unjudged):
        return Pairing(False, f"cannot be judged: {unjudged[0].message}", paired, unpaired, NAN)
    if z > Z_THRESHOLD:
        return Pairing(True, f"yes: {cosines}", paired, unpaired, z)
    if unjudged:
        reasons = ", and ".join(entry.message for entry in unjudged)
        return Pairing(False, f"cannot be judged: {reasons}; {cosines}", paired, unpaired, z)
    if has_rotated_pairs(unit_x[valid], unit_y[valid]):
        reason = f"the rows match, but the modalities are rotated against each other and {SEPARATE_SPACES}: {cosines}"
        return Pairing(False, reason, paired, unpaired, z)
    offset = matching_offset(x, y)
    if offset:
        direction = f"{abs(offset):,} row{'s' if abs(offset) != 1 else ''} {'later' if offset > 0 else 'earlier'}"
        reason = f"no: the match of a row stands {direction} in the second source: {cosines}"
        return Pairing(False, reason, paired, unpaired, z)
    return Pairing(False, f"no sign of it: {cosines}; check the order of the rows", paired, unpaired, z)


def has_rotated_pairs(x: np.ndarray, y: np.ndarray, /) -> bool:
    """Return whether a rotation of one modality would align matching rows better than shuffled ones.

    Parameters
    ----------
    x : numpy.ndarray
        Rows (n, d_x).
    y : numpy.ndarray
        The matching rows (n, d_y).

    Returns
    -------
    bool
        True if the largest covariance after a rotation exceeds the mean of 20 shuffled pairings by more than 6 of their
        standard deviations. The excess must also be more than twice the covariance without a rotation. Widths may
        differ. False for fewer than 50 pairs.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, rotation = rng.normal(size=(200, 8)), np.linalg.qr(rng.normal(size=(8, 8)))[0]
    >>> has_rotated_pairs(x, x @ rotation), has_rotated_pairs(x, rng.permutation(x))
    (True, False)
    """
    if len(x) < MIN_ROTATION_PAIRS:
        return False
    covariance = float(np.sum((x - x.mean(axis=0)) * (y - y.mean(axis=0)))) if x.shape[1] == y.shape[1] else 0.0
    x, y = _leading_coordinates(x), _leading_coordinates(y)
    rng = np.random.default_rng(0)
    shuffled = np.array([np.linalg.norm(x.T @ y[rng.permutation(len(y))], ord="nuc") for _ in range(ROTATION_SHUFFLES)])
    excess = float(np.linalg.norm(x.T @ y, ord="nuc") - shuffled.mean())
    # Pairs that covary as they are need no rotation: they are only weak.
    return bool(excess > ROTATION_Z_THRESHOLD * shuffled.std(ddof=1) and excess > 2 * abs(covariance))


def matching_offset(x: Source, y: Source, /) -> int:
    """Return the offset at which rows match if one side is shifted.

    Parameters
    ----------
    x : Source
        Rows (n, d), of which the first 2,000 are read.
    y : Source
        Rows (n, d).

    Returns
    -------
    int
        Row i of x matches row i + offset of y. It is 0 if no offset stands out. The covariance at the best offset must
        exceed the median by 8 robust standard deviations. It must also be twice that of every other offset.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(200, 8))
    >>> matching_offset(Source(rows, address="x"), Source(np.roll(rows, 3, axis=0), address="y"))
    3
    """
    stop = min(x.shape[0], MAX_SAMPLED_PAIRS)
    unit_x, unit_y = (unit_rows(to_numpy(source.read(0, stop)).astype(np.float64)) for source in (x, y))
    if stop < MIN_ROTATION_PAIRS or not (np.isfinite(unit_x).all() and np.isfinite(unit_y).all()):
        return 0
    spectra = [np.fft.rfft(rows - rows.mean(axis=0), axis=0) for rows in (unit_x, unit_y)]
    sums = np.fft.irfft((spectra[0].conj() * spectra[1]).sum(axis=1), n=stop)
    deviations = sums - np.median(sums)
    spread = 1.4826 * float(np.median(np.abs(deviations)))
    second, best = np.argsort(deviations)[-2:]
    stands_out = deviations[best] > OFFSET_Z_THRESHOLD * spread and deviations[best] > 2 * deviations[second]
    return int(best if best <= stop // 2 else best - stop) if stands_out else 0


def _leading_coordinates(rows: np.ndarray) -> np.ndarray:
    """Return centred rows in their leading principal directions."""
    centred = rows - rows.mean(axis=0)
    directions = np.linalg.eigh(centred.T @ centred)[1]
    return np.asarray(centred @ directions[:, -MAX_ROTATION_DIRECTIONS:])


def first_pairs(pairs: Pairs, /) -> tuple[Source, Source]:
    """Return two sources of which row i of one matches row i of the other: the first pair of each item.

    Parameters
    ----------
    pairs : Pairs
        Pairs of n items.

    Returns
    -------
    x : Source
        One row for each item that has a pair.
    y : Source
        The first matching row of y for each of them.

    Examples
    --------
    >>> import numpy as np
    >>> pairs = Pairs(image=np.eye(2), text=np.arange(6.0).reshape(3, 2), index=[1, 1, 0])
    >>> first_pairs(pairs)[1].read(0, 2).tolist()
    [[4.0, 5.0], [0.0, 1.0]]
    """
    if pairs.index is None and pairs.y_groups is None:
        return pairs.x, pairs.y
    items, rows = pairs.first_pairs
    return select_rows(pairs.x, items), select_rows(pairs.y, rows)


def _plain_fields(report: Inspection | Pairing) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(report).items()}

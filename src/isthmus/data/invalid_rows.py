"""Rows without a direction: NaN, infinite, all zero or of another length. They are found, reported or left out."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from isthmus.compute import arrays
from isthmus.compute.resources import block_rows
from isthmus.data.joins import select_rows
from isthmus.data.sources import Source
from isthmus.data.sources._members import listed
from isthmus.utils import validation
from isthmus.utils.errors import InputError, IsthmusWarning
from isthmus.utils.format import counted


def invalid_rows_error(
    x: Source, y: Source, first: int = 0, last: int | None = None, *, by_position: bool = True, paired: bool = True
) -> InputError:
    """Return the error that lists the rows without a direction among the items first .. last - 1.

    It is called after a pass over the rows met such a row. All rows of y are searched unless they are paired by
    position. Rows of sets are not `paired`.
    """
    invalid = {x.address: invalid_rows_by_state(x, first, last)}
    if y is not x:
        name = y.address if y.address != x.address else f"{y.address} (y)"
        invalid[name] = invalid_rows_by_state(y, *((first, last) if by_position else (0, None)))
    if any(len(rows) for states in invalid.values() for rows in states):
        return validation.invalid_rows(invalid, paired=paired and y is not x)
    return _out_of_range(x.address if y is x else f"{x.address} or {y.address}")


def invalid_rows_by_state(source: Source, first: int = 0, last: int | None = None) -> tuple[np.ndarray, ...]:
    """Return the numbers of the rows with NaN or infinite values, of those that are all zero, and of other lengths.

    The parameters are those of `find_invalid_rows`, which counts rows of other lengths as NaN.
    """
    non_finite, zero = find_invalid_rows(source, first, last)
    if source.ragged is None or not len(source.ragged):
        return non_finite, zero
    ragged = np.intersect1d(source.ragged.numbers, non_finite)
    return np.setdiff1d(non_finite, ragged), zero, ragged


def invalid_states(*sources: Source) -> str:
    """Return the states of the invalid rows of sources, whose rows were read: those of other lengths if there are."""
    has_ragged = any(source.ragged is not None and len(source.ragged) for source in sources)
    return "NaN, infinite, all zeros or of another length" if has_ragged else "NaN, infinite or all zeros"


def described_counts(counts: Mapping[str, int], /, *sources: Source) -> str:
    """Return how many rows of which modality are invalid, without modalities that have no such rows.

    Parameters
    ----------
    counts : mapping of str to int
        Number of invalid rows by modality.
    *sources : Source
        The modalities, whose rows were read.

    Returns
    -------
    str
        The clause.

    Examples
    --------
    >>> described_counts({"image": 1, "text": 0, "audio": 2})
    '1 row of image and 2 of audio are NaN, infinite or all zeros'
    """
    entries = [(name, count) for name, count in counts.items() if count]
    clauses = [
        f"{count:,} of {name}" if number else f"{counted(count, 'row')} of {name}"
        for number, (name, count) in enumerate(entries)
    ]
    joined = " and ".join([", ".join(clauses[:-1]), clauses[-1]] if len(clauses) > 1 else clauses)
    return f"{joined} {'is' if sum(counts.values()) == 1 else 'are'} {invalid_states(*sources)}"


def _out_of_range(address: str) -> InputError:
    """Return the error for rows that float32 on a device or in another library rejects, or squares without norms."""
    return InputError(
        f"{address}: the squares of some rows leave the range of the computation; multiply all rows by one factor, so "
        "that they are longer than 1e-15 and shorter than 1e15"
    )


def find_invalid_rows(source: Source, first: int = 0, last: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the rows with NaN or infinite values, and of those that are all zero.

    Parameters
    ----------
    source : Source
        Rows (n, d).
    first : int
        First row that is checked. Default: 0.
    last : int or None
        Row after the last one that is checked. Default: all rows.

    Returns
    -------
    non_finite : numpy.ndarray
        Row numbers in the file.
    zero : numpy.ndarray
        Row numbers in the file.

    Examples
    --------
    >>> import numpy as np
    >>> find_invalid_rows(Source(np.array([[1.0, 2.0], [0.0, 0.0], [np.nan, 1.0]]), address="x"))
    (array([2]), array([1]))
    """
    non_finite, zero = _positions(source, first, last)
    return source.numbers(non_finite), source.numbers(zero)


def valid_mask(source: Source, /) -> tuple[np.ndarray, int]:
    """Return which rows of a source have a direction.

    Parameters
    ----------
    source : Source
        Rows (n, d).

    Returns
    -------
    mask : numpy.ndarray
        True for each row (n,) that is finite and not zero.
    count : int
        Number of the other rows.
    """
    mask = np.ones(source.shape[0], dtype=bool)
    for rows in _positions(source):
        mask[rows] = False
    return mask, int(len(mask) - mask.sum())


def usable_sources(sources: Mapping[str, Source], /, *, paired: bool, min_rows: int = 2) -> dict[str, Source]:
    """Leave out the rows that are NaN, infinite or all zero, and report their number in a warning.

    Parameters
    ----------
    sources : mapping of str to Source
        Rows of each modality, each of which is read.
    paired : bool
        Whether rows with one number belong together, so that all of them are left out.
    min_rows : int, default 2
        Fewest rows of a modality that must be left.

    Returns
    -------
    dict of str to Source
        The sources, without these rows.

    Raises
    ------
    InputError
        If fewer than `min_rows` rows of a modality are left.

    Examples
    --------
    >>> import numpy as np, warnings
    >>> rows = Source(np.array([[1.0, 2.0], [0.0, 0.0], [3.0, 1.0]]), address="image.npy")
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     usable_sources({"image": rows}, paired=False)["image"].shape
    (2, 2)
    """
    return commonly_usable_sources(sources, min_rows=min_rows)[0] if paired else _usable(sources, min_rows)


def commonly_usable_sources(
    sources: Mapping[str, Source], /, *, min_rows: int = 2
) -> tuple[dict[str, Source], dict[str, int]]:
    """Leave out the rows that are invalid in one of the modalities or more, and report their number in a warning.

    Parameters
    ----------
    sources : mapping of str to Source
        As many rows of each modality, each of which is read.
    min_rows : int, default 2
        Fewest rows.

    Returns
    -------
    sources : dict of str to Source
        The sources, without these rows.
    counts : dict of str to int
        Number of invalid rows of each modality.

    Raises
    ------
    InputError
        If the numbers of rows differ, or if fewer than `min_rows` are left.
    """
    masks, counts = _masks(sources)
    if not any(counts.values()):
        return dict(sources), counts
    sizes = [len(mask) for mask in masks.values()]
    if len(set(sizes)) > 1:
        raise InputError(f"got modalities of {listed(list(map(str, sizes)))} rows, expected as many rows of each")
    common = np.logical_and.reduce(list(masks.values()))
    usable = {name: _selected(source, common, min_rows) for name, source in sources.items()}
    left_out = f"left out {len(common) - int(common.sum()):,} of {len(common):,} rows of each modality"
    warnings.warn(f"{described_counts(counts, *sources.values())}: {left_out}", IsthmusWarning, stacklevel=4)
    return usable, counts


def _usable(sources: Mapping[str, Source], min_rows: int) -> dict[str, Source]:
    """Return the sources without their own invalid rows."""
    masks, counts = _masks(sources)
    clauses = [f"{count:,} of {sources[name].shape[0]:,} {name} rows" for name, count in counts.items() if count]
    usable = {name: _selected(source, masks[name], min_rows) for name, source in sources.items()}
    if clauses:
        message = f"left out {' and '.join(clauses)}: they are {invalid_states(*sources.values())}"
        warnings.warn(message, IsthmusWarning, stacklevel=4)
    return usable


def _masks(sources: Mapping[str, Source]) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Return which rows of each source are valid, and the numbers of the others."""
    valid = {name: valid_mask(source) for name, source in sources.items()}
    return {name: mask for name, (mask, _) in valid.items()}, {name: count for name, (_, count) in valid.items()}


def _selected(source: Source, mask: np.ndarray, min_rows: int) -> Source:
    """Return the rows of a source that a mask (n,) keeps."""
    rows = np.flatnonzero(mask)
    if len(rows) == len(mask):
        return source
    if len(rows) < min_rows:
        raise InputError(f"{source.address}: {len(rows)} of {len(mask):,} rows are usable, expected {min_rows} or more")
    return select_rows(source, rows, min_rows=min_rows)


def _positions(source: Source, first: int = 0, last: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions in `source` of the rows with NaN or infinite values, and of those that are all zero."""
    non_finite, zero = [], []
    size = block_rows(source.shape[1])
    last = source.shape[0] if last is None else last
    for start in range(first, last, size):
        block = arrays.to_numpy(source.read(start, min(start + size, last)))
        non_finite.append(start + np.flatnonzero(~np.isfinite(block).all(axis=1)))
        zero.append(start + np.flatnonzero(~block.any(axis=1)))
    if source.ragged is not None and not source.is_subset:
        source.ragged.check(source.shape[0])
    return np.concatenate(non_finite), np.concatenate(zero)

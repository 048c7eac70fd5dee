"""Separation of fitting and test pairs: splits that keep repeated rows together, and a check for shared pairs."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator

import numpy as np

from isthmus.compute.arrays import to_numpy, unit_rows
from isthmus.compute.resources import block_rows
from isthmus.data.components import halves_of_groups
from isthmus.data.grouping import known_equal_rows
from isthmus.data.hashing import hash_rows
from isthmus.data.pairs import Pairs
from isthmus.statistics.pairing import judge_pairing
from isthmus.utils.errors import InputError, IsthmusWarning, TooFewItemsError
from isthmus.utils.format import counted

#: Largest share of test pairs that may also be fitting pairs. A smaller share causes a warning.
MAX_SHARED = 0.01


def fingerprint(pairs: Pairs, /) -> str:
    """Return a hash of the content of pairs.

    Parameters
    ----------
    pairs : Pairs
        Pairs of rows.

    Returns
    -------
    str
        16 hexadecimal digits, from the rows of both modalities, the pairing and the labels.

    Examples
    --------
    >>> import numpy as np
    >>> from isthmus import Pairs
    >>> x, y = np.random.default_rng(0).normal(size=(2, 20, 4))
    >>> fingerprint(Pairs(image=x, text=y)) == fingerprint(Pairs(image=x.copy(), text=y))
    True
    """
    digest = hashlib.blake2b(digest_size=8)
    for source in (pairs.x, pairs.y):
        n_rows = block_rows(source.shape[1])
        for start in range(0, source.shape[0], n_rows):
            digest.update(np.ascontiguousarray(to_numpy(source.read(start, start + n_rows))).data)
    for values in (pairs.index, pairs.labels):
        digest.update(b"-" if values is None else "\n".join(map(str, values.tolist())).encode())
    return digest.hexdigest()


def check_disjoint(pairs: Pairs, fit: Pairs, /) -> None:
    """Raise if the test pairs are the fitting pairs, and warn if they share a few.

    Parameters
    ----------
    pairs : Pairs
        Test pairs.
    fit : Pairs
        Fitting pairs.

    Raises
    ------
    InputError
        If both are the same object or the same files, or more than 1 % of the test pairs are also fitting pairs.

    Warns
    -----
    IsthmusWarning
        If up to 1 % of the test pairs are also fitting pairs.

    Examples
    --------
    >>> import numpy as np
    >>> from isthmus import Pairs
    >>> x, y = np.random.default_rng(0).normal(size=(2, 20, 4))
    >>> check_disjoint(Pairs(image=x[:10], text=y[:10]), Pairs(image=x[10:], text=y[10:]))
    """
    advice = "evaluate on pairs that the aligner was not fitted on"
    if fit is pairs:
        raise InputError(f"fit and test are the same pairs: {advice}")
    files, fit_files = ((str(p.x.address), str(p.y.address)) for p in (pairs, fit))
    same_size = (pairs.n_pairs, pairs.n_items) == (fit.n_pairs, fit.n_items)
    if files == fit_files and files != pairs.names and same_size:  # arrays in memory have names instead of paths
        raise InputError(f"fit and test are the same files ({files[0]}, {files[1]}): {advice}")
    keys = np.concatenate(list(_pair_keys(pairs)))
    n_shared = int(np.count_nonzero(np.isin(keys, np.concatenate(list(_pair_keys(fit))))))
    message = f"{n_shared:,} of the {len(keys):,} test pairs are fitting pairs too"
    if n_shared > MAX_SHARED * len(keys):
        raise InputError(f"{message}: {advice}; remove them from one of the two sets")
    if n_shared:
        warnings.warn(message, IsthmusWarning, stacklevel=3)


def check_groups(group: np.ndarray, min_groups: int, /, *, pairs: Pairs | None = None) -> None:
    """Raise if there are too few groups of items to fit on some and judge on others.

    Parameters
    ----------
    group : np.ndarray of shape (n_items,)
        Number of the group of each item, from 0, see `isthmus.data.grouping.item_groups`.
    min_groups : int
        Fewest groups.
    pairs : Pairs, optional
        The pairs, whose constant modalities the message names.

    Raises
    ------
    TooFewItemsError
        If there are fewer groups.

    Examples
    --------
    >>> check_groups(np.arange(10), 8)
    """
    constant = "" if pairs is None else _constant_message(pairs)
    n_groups = 1 if constant else int(group.max()) + 1
    if n_groups < min_groups:
        count = "1 different item is" if n_groups == 1 else f"{n_groups} different items are"
        count = f"{constant}: {count}" if constant else count
        raise TooFewItemsError(f"{count} too few, where equal rows are one item, expected {min_groups} or more")


def _constant_message(pairs: Pairs) -> str:
    """Return a clause that all rows of a modality are the same, or ''."""
    first_rows = [unit_rows(to_numpy(source.read(0, 2)).astype(np.float64)) for source in (pairs.x, pairs.y)]
    if not any(np.allclose(rows, rows[0], rtol=0, atol=1e-5) for rows in first_rows):
        return ""  # without a pass over the rows
    return next((d.message for d in judge_pairing(pairs).degenerate if d.kind == "constant"), "")


def warn_of_shared_rows(pairs: Pairs, group: np.ndarray, /) -> None:
    """Warn if groups (n_items,) of items share rows, so that held-out pairs may have rows of fitting pairs."""
    groups = group[pairs.owner]
    if pairs.grouped is not None or pairs.y_groups is not None:
        rows_by_name = {pairs.names[1]: pairs.y_groups}
    else:
        x_rows, y_rows = (known_equal_rows(source, normalize=True) for source in (pairs.x, pairs.y))
        rows_by_name = dict(zip(pairs.names, (None if x_rows is None else x_rows[pairs.owner], y_rows), strict=True))
    for name, rows in rows_by_name.items():
        if rows is None:
            continue
        order = np.lexsort((groups, rows))
        is_shared = (np.diff(rows[order]) == 0) & (np.diff(groups[order]) > 0)
        count = int(np.isin(rows, rows[order][1:][is_shared]).sum())
        if count:
            warnings.warn(
                f"{count:,} of {pairs.n_pairs:,} pairs share their row of {name} with other items, and are too many "
                "for a half: held-out pairs then have rows of fitting pairs, which can raise their scores",
                IsthmusWarning,
                stacklevel=3,
            )


def group_split(pairs: Pairs, group: np.ndarray, /, *, rng: int) -> tuple[np.ndarray, np.ndarray]:
    """Split items at random into two halves, and keep the items of a group together.

    Parameters
    ----------
    pairs : Pairs
        Pairs of rows.
    group : np.ndarray of shape (n_items,)
        Number of the group of each item, from 0.
    rng : int
        Seed.

    Returns
    -------
    fit_items, test_items : np.ndarray
        Items of each half. If every item is a group of its own, the split is that of `Pairs.split_half`.

    Raises
    ------
    InputError
        If there is not one group number for each item.

    Examples
    --------
    >>> import numpy as np
    >>> from isthmus import Pairs
    >>> x, y = np.random.default_rng(0).normal(size=(2, 20, 4))
    >>> fit_items, test_items = group_split(Pairs(image=x, text=y), np.arange(20) // 2, rng=0)
    >>> len(fit_items), set(fit_items // 2) & set(test_items // 2)
    (10, set())
    """
    if len(group) != pairs.n_items:
        raise InputError(
            f"{len(group):,} group numbers for {counted(pairs.n_items, 'item')}: expected one for each item"
        )
    return halves_of_groups(group, rng)


def _pair_keys(pairs: Pairs) -> Iterator[np.ndarray]:
    """Yield a 64-bit key for each pair, block by block."""
    for x, y, owner, _ in pairs.blocks():
        keys = hash_rows(to_numpy(x))
        # The factor makes the order matter: (x, y) is not (y, x).
        yield (keys if owner is None else keys[owner]) * np.uint64(3) + hash_rows(to_numpy(y))

"""What keeps fitting and test pairs apart: duplicates stay on one side, and the same pairs are refused."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.compute.resources import block_rows
from isthmus.data.hashing import hash_rows
from isthmus.data.pairs import Pairs
from isthmus.utils.errors import InputError, IsthmusWarning

#: More test pairs than this share that are fitting pairs too are refused; fewer are told.
MOST_SHARED = 0.01


def fingerprint(pairs: Pairs, /) -> str:
    """A short name for the content of `pairs`: rows of both sides, pairing and labels."""
    digest = hashlib.blake2b(digest_size=8)
    for side in (pairs.x, pairs.y):
        for start in range(0, side.shape[0], block_rows(side.shape[1])):
            digest.update(np.ascontiguousarray(to_numpy(side.read(start, start + block_rows(side.shape[1])))).data)
    for extra in (pairs.index, pairs.labels):
        digest.update(b"-" if extra is None else "\n".join(map(str, extra.tolist())).encode())
    return digest.hexdigest()


def check_disjoint(pairs: Pairs, fit: Pairs, /) -> None:
    """`InputError` when `fit` is `pairs`: the same object, the same files, or more than 1 % of the rows the same.

    A few shared pairs are warned about.
    """
    same = "what is fitted must be judged on pairs it has not seen"
    if fit is pairs:
        raise InputError(f"fit and test are the same pairs: {same}")
    files = [(str(p.x.where), str(p.y.where)) for p in (pairs, fit)]
    if (
        files[0] == files[1]
        and files[0] != pairs.names
        and (pairs.n_pairs, pairs.n_items) == (fit.n_pairs, fit.n_items)
    ):
        raise InputError(f"fit and test are the same files ({files[0][0]}, {files[0][1]}): {same}")
    keys = np.concatenate(list(_pair_keys(pairs)))
    shared = int(np.count_nonzero(np.isin(keys, np.concatenate(list(_pair_keys(fit))))))
    if shared > MOST_SHARED * len(keys):
        raise InputError(
            f"{shared:,} of the {len(keys):,} test pairs are fitting pairs too: {same}; remove them from one"
        )
    if shared:
        warnings.warn(f"{shared:,} of the {len(keys):,} test pairs are fitting pairs too", IsthmusWarning, stacklevel=3)


def group_split(pairs: Pairs, group: np.ndarray, /, *, rng: int) -> tuple[np.ndarray, np.ndarray]:
    """Items to fit on and items to test on: a random half of the groups each (the same as `Pairs.split_half` when every
    item is its own group)."""
    count = int(group.max()) + 1
    if count == pairs.n_items:
        order = np.random.default_rng(rng).permutation(pairs.n_items)
        return order[: pairs.n_items // 2], order[pairs.n_items // 2 :]
    fitting = np.zeros(count, dtype=bool)
    fitting[np.random.default_rng(rng).permutation(count)[: count // 2]] = True
    return np.flatnonzero(fitting[group]), np.flatnonzero(~fitting[group])


def _pair_keys(pairs: Pairs) -> Iterator[np.ndarray]:
    for x, y, owner in pairs.blocks():
        keys = hash_rows(to_numpy(x))
        # The order matters: (x, y) is not (y, x).
        yield (keys if owner is None else keys[owner]) * np.uint64(3) + hash_rows(to_numpy(y))

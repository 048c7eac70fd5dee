"""Hashes of rows, by which equal rows and equal keys are found."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

#: Values whose words are mixed at a time: 256 kB of integers.
SLICE_WORDS = 2**15


def hash_rows(rows: np.ndarray, /, *, seed: int = 0) -> np.ndarray:
    """Return a 64-bit hash of each row.

    Rows with equal values have equal hashes, -0.0 and 0.0 included. Rows that differ have different hashes, except with
    a probability near 2^-64 for each pair of rows.

    Parameters
    ----------
    rows : numpy.ndarray
        Rows (n, d) of floats or integers, in either byte order. Rows of different dtypes have different hashes.
    seed : int
        Number of the hash function. Default: 0.

    Returns
    -------
    numpy.ndarray
        Hashes (n,), uint64.

    Notes
    -----
    Let w be the bits of a value and m an odd random number of its column. The hash is the sum of f(w m) over the
    columns, with f(v) = v ^ (v >> 31), all modulo 2^64. Of float64 values, w ^ (w >> 32) takes the place of w, so
    that signs reach all bits. Zeros contribute nothing, so that padding changes no hash.

    Examples
    --------
    >>> import numpy as np
    >>> hashes = hash_rows(np.array([[0.0, 1.0], [-0.0, 1.0], [1.0, 0.0]]))
    >>> bool(hashes[0] == hashes[1]), bool(hashes[0] == hashes[2])
    (True, False)
    """
    rows = np.asarray(rows)  # slices of a memory-mapped array cost more
    native = rows.dtype.newbyteorder("=")
    integers = np.dtype(f"u{native.itemsize}")
    n, dim = rows.shape
    multipliers = np.random.default_rng(seed).integers(0, 2**63, size=dim, dtype=np.uint64) * np.uint64(2) + 1
    hashes = np.empty(n, dtype=np.uint64)
    step = max(SLICE_WORDS // max(dim, 1), 1)
    values, words, shifted = (np.empty((min(step, n), dim), dtype=dtype) for dtype in (native, np.uint64, np.uint64))
    for start in range(0, n, step):  # slices stay in the cache of one core
        count = min(step, n - start)
        np.add(rows[start : start + count], native.type(0), out=values[:count])  # -0.0 becomes 0.0
        bits = values[:count].view(integers)
        if native == np.float64:
            np.right_shift(bits, np.uint64(32), out=shifted[:count])
            bits ^= shifted[:count]
        np.multiply(bits, multipliers, out=words[:count])
        np.right_shift(words[:count], np.uint64(31), out=shifted[:count])
        words[:count] ^= shifted[:count]
        np.add.reduce(words[:count], axis=1, out=hashes[start : start + count])
    return hashes


def hash_bytes(rows: np.ndarray, /) -> np.ndarray:
    """Return two 64-bit hashes of the bytes of each row, which cost less than `hash_rows`.

    Two rows of different bytes have equal hashes with a probability of at most 2^-56. It is about 2^-120 if they differ
    in bits of all kinds, and not in signs alone.

    Parameters
    ----------
    rows : numpy.ndarray
        Rows (n, d).

    Returns
    -------
    numpy.ndarray
        Hashes (2, n), uint64.

    Notes
    -----
    A row has two sums of its 64-bit words times odd random numbers, modulo 2^64. Words that differ in their highest
    bits alone, such as signs, change only the highest bits of the first sum. In the second sum the bytes of each word
    are reversed. These bits are then among the lowest ones, and change all bits above them. The first hash is both
    sums together, whose upper bits alone tell most rows apart. The second hash is the second sum.

    Examples
    --------
    >>> hashes = hash_bytes(np.array([[1.0, 2.0], [1.0, -2.0], [1.0, 2.0]]))
    >>> bool((hashes[:, 0] == hashes[:, 2]).all()), bool((hashes[:, 0] == hashes[:, 1]).all())
    (True, False)
    """
    octets = np.ascontiguousarray(rows).view(np.uint8)
    if octets.shape[1] % 8:
        octets = np.pad(octets, ((0, 0), (0, -octets.shape[1] % 8)))
    words = octets.view(np.uint64)
    factors = _byte_factors(words.shape[1])
    hashes = np.empty((2, len(rows)), dtype=np.uint64)
    step = max(SLICE_WORDS // words.shape[1], 1)
    swapped = np.empty((min(step, len(rows)), words.shape[1]), dtype=words.dtype.newbyteorder("S"))
    for start in range(0, len(rows), step):  # slices stay in the cache of one core
        rows_of_words = words[start : start + step]
        np.einsum("ij,j->i", rows_of_words, factors[0], out=hashes[0, start : start + step])
        swapped[: len(rows_of_words)] = rows_of_words
        reversed_words = swapped[: len(rows_of_words)].view(np.uint64)
        np.einsum("ij,j->i", reversed_words, factors[1], out=hashes[1, start : start + step])
    hashes[0] += hashes[1]
    return hashes


@lru_cache(maxsize=64)
def _byte_factors(n_words: int) -> np.ndarray:
    """Return the odd random numbers (2, n_words) of `hash_bytes`."""
    return np.random.default_rng(2).integers(0, 2**63, size=(2, n_words), dtype=np.uint64) * np.uint64(2) + 1


def hash_text(words: np.ndarray, /) -> tuple[np.ndarray, np.ndarray]:
    """Return two 64-bit hashes of each text, given as zero-padded rows (n, k) of 64-bit words.

    The bits of each word are mixed first. Texts often differ in the last byte of a word alone, which the product of
    `hash_rows` would leave in its upper bits.
    """
    mixed = np.array(words, dtype=np.uint64)
    for shift, factor in ((33, 0xFF51AFD7ED558CCD), (33, 0xC4CEB9FE1A85EC53), (33, 1)):  # the finaliser of MurmurHash3
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    return hash_rows(mixed), hash_rows(mixed, seed=1)

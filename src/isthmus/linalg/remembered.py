"""Decompositions that are computed once: measures, aligners and diagnoses decompose the same few matrices."""

from __future__ import annotations

import math
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

#: Bytes of results that are kept. The oldest ones are dropped.
MAX_BYTES = 2**26
#: Matrices with fewer rows and columns are decomposed faster than they are looked up.
MIN_SIZE = 48
#: Smallest eigenvalue of M M' relative to the largest, from which roots of eigenvalues are accurate singular values.
MIN_SQUARE = 1e-7
#: Rounding error of an eigenvalue of M M' relative to the largest, and the largest error of a nuclear norm by it.
SQUARE_NOISE, MAX_NORM_ERROR = 1e-15, 1e-9


class DecompositionCache:
    """Results of computations by the content of a matrix, as arrays that cannot be written.

    Parameters
    ----------
    max_bytes : int
        Largest size of all results together.

    Examples
    --------
    >>> cache = DecompositionCache(2**20)
    >>> matrix = np.eye(64)
    >>> first = cache.get(matrix, "eigh", lambda: tuple(np.linalg.eigh(matrix)))
    >>> cache.get(matrix.copy(), "eigh", lambda: tuple(np.linalg.eigh(matrix)))[1] is first[1]
    True
    """

    def __init__(self, max_bytes: int):
        self.max_bytes = max_bytes
        self._results: OrderedDict[Hashable, tuple[np.ndarray, ...]] = OrderedDict()
        self._lock = threading.Lock()
        self._pending: dict[Hashable, threading.Lock] = {}

    def get(
        self, matrix: np.ndarray, kind: str, decompose: Callable[[], tuple[np.ndarray, ...]], /
    ) -> tuple[np.ndarray, ...]:
        """Return the result of `decompose()` for a matrix, computed once while it is kept.

        Parameters
        ----------
        matrix : array of shape (m, n)
            The matrix, whose content is the key.
        kind : str
            Name of the decomposition with its options.
        decompose : callable
            Returns the arrays of the result.

        Returns
        -------
        tuple of array
            The result. Its arrays cannot be written.
        """
        if max(matrix.shape) < MIN_SIZE:
            return decompose()
        key = (kind, *content_key(matrix))
        result_before = self._kept(key)
        if result_before is not None:
            return result_before
        with self._lock:
            pending = self._pending.setdefault(key, threading.Lock())
        with pending:  # one thread decomposes a matrix, and others that ask for the same wait
            result_before = self._kept(key)
            if result_before is not None:
                return result_before
            try:
                result = tuple(decompose())
                for array in result:
                    array.flags.writeable = False
                self._keep(key, result)
            finally:
                with self._lock:
                    self._pending.pop(key, None)
        return result

    def part_of(self, matrix: np.ndarray, kinds: Sequence[str], number: int, /) -> tuple[np.ndarray, ...] | None:
        """Return one array of a decomposition that is kept.

        Parameters
        ----------
        matrix : array of shape (m, n)
            The matrix.
        kinds : sequence of str
            Names of decompositions with their options.
        number : int
            Place of the array in their results.

        Returns
        -------
        tuple of array or None
            The array alone, or None if no such decomposition is kept.
        """
        content = () if max(matrix.shape) < MIN_SIZE else content_key(matrix)
        results = (self._kept((kind, *content)) for kind in kinds if content)
        return next(((result[number],) for result in results if result is not None), None)

    def _kept(self, key: Hashable) -> tuple[np.ndarray, ...] | None:
        """Return a result that is kept, which becomes the newest one, or None."""
        with self._lock:
            if key in self._results:
                self._results.move_to_end(key)
            return self._results.get(key)

    def _keep(self, key: Hashable, result: tuple[np.ndarray, ...]) -> None:
        """Keep a result, and drop the oldest ones beyond the size."""
        if sum(array.nbytes for array in result) > self.max_bytes:
            return
        with self._lock:
            self._results[key] = result
            total = sum(array.nbytes for arrays in self._results.values() for array in arrays)
            while total > self.max_bytes:
                _, dropped = self._results.popitem(last=False)
                total -= sum(array.nbytes for array in dropped)


def content_key(matrix: np.ndarray, /) -> tuple[Hashable, ...]:
    """Return a key of the content of a matrix, at a quarter of the cost of a hash.

    Parameters
    ----------
    matrix : array
        The matrix.

    Returns
    -------
    tuple
        Shape, type, and 96 bits: a checksum of all bytes and the sum of all words.

    Examples
    --------
    >>> content_key(np.eye(3)) == content_key(np.eye(3)), content_key(np.eye(3)) == content_key(-np.eye(3))
    (True, False)
    """
    content = np.ascontiguousarray(matrix).reshape(-1).view(np.uint8)
    words = content[: len(content) // 8 * 8].view(np.uint64)
    return matrix.shape, matrix.dtype.str, zlib.crc32(content.data), int(words.sum(dtype=np.uint64))


_CACHE = DecompositionCache(MAX_BYTES)


def eigh(matrix: np.ndarray, /) -> tuple[np.ndarray, np.ndarray]:
    """Return `numpy.linalg.eigh` of a symmetric matrix, computed once for each content.

    Parameters
    ----------
    matrix : array of shape (d, d)
        Symmetric matrix.

    Returns
    -------
    values : array of shape (d,)
        Ascending eigenvalues, which cannot be written.
    vectors : array of shape (d, d)
        Eigenvectors, which cannot be written.

    Examples
    --------
    >>> eigh(np.diag([2.0, 1.0]))[0].tolist()
    [1.0, 2.0]
    """
    values, vectors = _CACHE.get(matrix, "eigh", lambda: tuple(np.linalg.eigh(matrix)))
    return values, vectors


def eigvalsh(matrix: np.ndarray, /) -> np.ndarray:
    """Return the ascending eigenvalues of a symmetric matrix, computed once for each content.

    Parameters
    ----------
    matrix : array of shape (d, d)
        Symmetric matrix.

    Returns
    -------
    array of shape (d,)
        Eigenvalues, which cannot be written.

    Examples
    --------
    >>> eigvalsh(np.diag([2.0, 1.0])).tolist()
    [1.0, 2.0]
    """

    def decompose() -> tuple[np.ndarray, ...]:
        return _CACHE.part_of(matrix, ["eigh"], 0) or (np.linalg.eigvalsh(matrix),)

    return _CACHE.get(matrix, "eigvalsh", decompose)[0]


def svd(matrix: np.ndarray, /, *, full_matrices: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return `numpy.linalg.svd` of a matrix, computed once for each content.

    Parameters
    ----------
    matrix : array of shape (m, n)
        The matrix.
    full_matrices : bool, default True
        Whether all m and n singular vectors are returned, or min(m, n) of each.

    Returns
    -------
    left_vectors, values, right_vectors : array
        Singular vectors and descending singular values, which cannot be written.

    Examples
    --------
    >>> svd(np.diag([1.0, 2.0]))[1].tolist()
    [2.0, 1.0]
    """
    kind = f"svd {full_matrices}"
    left_vectors, values, right_vectors = _CACHE.get(
        matrix, kind, lambda: tuple(np.linalg.svd(matrix, full_matrices=full_matrices))
    )
    return left_vectors, values, right_vectors


def singular_values(matrix: np.ndarray, /) -> Any:
    """Return the descending singular values of a matrix, computed once for each content.

    Parameters
    ----------
    matrix : array of shape (m, n)
        The matrix.

    Returns
    -------
    array of shape (min(m, n),)
        Singular values, which cannot be written.

    Examples
    --------
    >>> singular_values(np.diag([1.0, 2.0])).tolist()
    [2.0, 1.0]
    """

    def decompose() -> tuple[np.ndarray, ...]:
        kept_values = _CACHE.part_of(matrix, ["svd False", "svd True"], 1)
        return kept_values or (np.linalg.svd(matrix, compute_uv=False),)

    return _CACHE.get(matrix, "values", decompose)[0]


def nuclear_norm(matrix: np.ndarray, /) -> float:
    """Return the sum of the singular values of a matrix, computed once for each content.

    They are the roots of the eigenvalues of M M' or M'M, which cost less than half, if rounding leaves their sum exact.

    Parameters
    ----------
    matrix : array of shape (m, n)
        The matrix.

    Returns
    -------
    float
        Nuclear norm.

    Examples
    --------
    >>> nuclear_norm(np.diag([1.0, 2.0]))
    3.0
    """

    def decompose() -> tuple[np.ndarray, ...]:
        if min(matrix.shape) >= MIN_SIZE:
            wide = np.asarray(matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T, np.float64)
            squares = np.linalg.eigvalsh(wide @ wide.T)
            roots = np.sqrt(np.maximum(squares, 0.0))
            noise = SQUARE_NOISE * max(float(squares[-1]), np.finfo(float).tiny)
            # An eigenvalue that is off by the noise is off in its root by noise / root, or by the root of the noise.
            if float(np.sum(noise / np.maximum(roots, math.sqrt(noise)))) < MAX_NORM_ERROR * float(roots.sum()):
                return (roots,)
        return (np.linalg.svd(matrix, compute_uv=False),)

    return float(np.sum(_CACHE.get(matrix, "nuclear norm", decompose)[0]))

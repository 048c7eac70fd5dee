"""Nearest rows and counts of higher scores, in tiles, with NumPy or on the device in use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from isthmus.compute.resources import current, n_threads
from isthmus.compute.score_matrix import Map, ScoreMatrix, TopK, even_slices
from isthmus.compute.streaming_topk import StreamingTopK
from isthmus.compute.threads import blas_limited, thread_pool
from isthmus.compute.torch_kernels import TorchScoreMatrix

#: Number of scores from which several threads compute tiles.
PARALLEL_SCORES = 2**24
#: Largest tile of a search: 50 MB of float32 for each thread. OpenBLAS multiplies tall and wide tiles fastest.
SEARCH_TILE = (2504, 5000)
#: Largest side of a tile if the queries are the corpus, where larger tiles on the diagonal hold more scores twice.
OWN_TILE = 1672
#: Fewest tiles of a search, so that threads end at about the same time, unless tiles would have fewer rows than that.
SEARCH_TILES, MIN_TILE_ROWS = 8, 312
#: Number of scores from which a search selects tile by tile, fewest queries, and fewest corpus rows for each result.
STREAMED_SCORES, STREAMED_QUERIES, STREAMED_COLUMNS = 2**22, 64, 16


def score_matrices(queries: np.ndarray, *corpora: np.ndarray, order: np.ndarray | None = None) -> list[ScoreMatrix]:
    """Return the scores of the queries against each corpus, on the first device in use, or with NumPy.

    Parameters
    ----------
    queries : (n, d) array
        Query rows.
    *corpora : (m, d) arrays
        Corpus rows, one matrix of scores for each.
    order : (m,) int array, optional
        Order of the corpus rows.

    Returns
    -------
    list of ScoreMatrix
        One for each corpus.
    """
    devices = current().devices
    if devices:
        return TorchScoreMatrix.of(queries, *corpora, device=devices[0], order=order)
    return [ScoreMatrix(queries, corpus, order=order) for corpus in corpora]


@contextmanager
def tile_map(n_scores: int) -> Iterator[Map]:
    """Yield `map`, or a version of it in several threads if many scores are computed with NumPy.

    BLAS is limited to one thread in each. One thread counts its tile while another multiplies, and none waits for the
    other.

    Parameters
    ----------
    n_scores : int
        Number of scores.

    Yields
    ------
    callable
        A function like `map`, for `ScoreMatrix.map_tiles`.
    """
    if n_scores < PARALLEL_SCORES or current().devices:
        yield map
        return
    threads = n_threads()
    if threads == 1:
        with blas_limited(1):
            yield map
        return
    with blas_limited(1), thread_pool(threads) as pool:
        yield pool.map


def topk(queries: np.ndarray, corpus: np.ndarray, /, *, k: int, exclude_self: bool) -> TopK:
    """Return the k corpus rows of largest inner product with each query.

    If the queries are the corpus (the same array), then each score is computed once and serves both of its rows.

    Parameters
    ----------
    queries, corpus : (n, d) and (m, d) arrays
        Rows.
    k : int
        Number of corpus rows.
    exclude_self : bool
        Exclude corpus row i for query i.

    Returns
    -------
    TopK
        Scores and row numbers, in descending order of the scores.

    Examples
    --------
    >>> import numpy as np
    >>> topk(np.eye(2), np.array([[1.0, 0.0], [3.0, 2.0]]), k=1, exclude_self=False).scores.tolist()
    [[3.0], [2.0]]
    """
    if not len(queries):
        return TopK(np.empty((0, k)), np.empty((0, k), dtype=np.int64))
    n_scores = len(queries) * len(corpus)
    is_streamed = n_scores >= STREAMED_SCORES and len(queries) >= STREAMED_QUERIES and not current().devices
    if is_streamed and len(corpus) >= STREAMED_COLUMNS * k:
        return _topk_of_tiles(queries, corpus, k, exclude_self)
    (matrix,) = score_matrices(queries, corpus)

    def block_topk(rows: slice) -> TopK:
        scores = matrix.tile(rows)
        if exclude_self:
            matrix.fill_diagonal(scores, rows.start, -np.inf)
        return matrix.topk(scores, k)

    with tile_map(n_scores) as run:
        return TopK.concatenate(list(run(block_topk, matrix.blocks())))


def _topk_of_tiles(queries: np.ndarray, corpus: np.ndarray, k: int, exclude_self: bool) -> TopK:
    """Return what `topk` returns. Tiles of scores are selected from while they are in the cache."""
    is_symmetric = queries is corpus
    dtype = np.result_type(queries, corpus)
    if is_symmetric:
        blocks = spans = even_slices(len(queries), OWN_TILE)
        tiles = [(block, span) for span in range(len(spans)) for block in range(span + 1)]
    else:
        blocks, spans = search_spans(len(queries), len(corpus), dtype.itemsize)
        tiles = [(block, span) for span in range(len(spans)) for block in range(len(blocks))]
    matrix, nearest = ScoreMatrix(queries, corpus), StreamingTopK(blocks, k, dtype)

    def search(tile: tuple[int, int]) -> None:
        block, span = tile
        rows, columns = blocks[block], spans[span]
        scores = matrix.tile(rows, columns)
        if exclude_self:
            diagonal = np.arange(max(rows.start, columns.start), min(rows.stop, columns.stop))
            scores[diagonal - rows.start, diagonal - columns.start] = -np.inf
        nearest.add(scores, block, columns)
        if is_symmetric and block != span:
            nearest.add_transposed(scores, span, rows)

    with tile_map(len(queries) * len(corpus)) as run:
        for _ in run(search, tiles):
            pass
    return nearest.result()


def search_spans(n_queries: int, n_corpus: int, itemsize: int) -> tuple[list[slice], list[slice]]:
    """Return the slices of the queries and of the corpus rows that the tiles of a search cover.

    They do not depend on the number of threads, so that the scores have the same bits.

    Parameters
    ----------
    n_queries, n_corpus : int
        Numbers of rows.
    itemsize : int
        Bytes of a score.

    Returns
    -------
    tuple of list of slice
        Slices of the queries, and of the corpus rows.
    """
    n_scores = SEARCH_TILE[0] * SEARCH_TILE[1] * 4 // itemsize
    width = _multiple(max(min(SEARCH_TILE[1], n_corpus), n_scores // n_queries - 7))  # few queries see many rows
    spans = even_slices(n_corpus, width)
    height = min(max(n_queries * len(spans) // SEARCH_TILES, MIN_TILE_ROWS), SEARCH_TILE[0], n_scores // width - 7)
    return even_slices(n_queries, _multiple(height)), spans


def _multiple(length: int) -> int:
    """Return the next multiple of 8, which lengths of slices are."""
    return -(-length // 8) * 8


def nearest_euclidean(queries: np.ndarray, corpus: np.ndarray, /) -> np.ndarray:
    """Return the number of the Euclidean nearest corpus row of each query, the first of equal ones.

    Parameters
    ----------
    queries, corpus : (n, d) and (m, d) arrays
        Rows.

    Returns
    -------
    (n,) int array
        Row numbers.

    Examples
    --------
    >>> nearest_euclidean(np.array([[0.0, 1.0]]), np.array([[3.0, 3.0], [0.0, 2.0]])).tolist()
    [1]
    """
    half_squares = np.einsum("ij,ij->i", corpus, corpus) / 2
    nearest_rows = np.empty(len(queries), dtype=np.int64)
    largest_brackets = np.full(len(queries), -np.inf)

    def largest(scores: np.ndarray, _rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray]:
        # |q - c|^2 = |q|^2 - 2 (q.c - |c|^2 / 2): the largest bracket belongs to the nearest row.
        scores -= half_squares[columns]
        tile_rows = np.argmax(scores, axis=1)
        return columns.start + tile_rows, scores[np.arange(len(scores)), tile_rows]

    for rows, _, (tile_rows, tile_brackets) in ScoreMatrix(queries, corpus).map_tiles(largest):
        nearer = tile_brackets > largest_brackets[rows]
        nearest_rows[rows] = np.where(nearer, tile_rows, nearest_rows[rows])
        largest_brackets[rows] = np.where(nearer, tile_brackets, largest_brackets[rows])
    return nearest_rows


def count_at_least(
    x: np.ndarray,
    y: np.ndarray,
    /,
    *,
    thresholds_x: np.ndarray,
    thresholds_y: np.ndarray,
    owner: np.ndarray,
    columns: np.ndarray | None = None,
    order: np.ndarray | None = None,
    run: Map = map,
) -> tuple[np.ndarray, np.ndarray]:
    """Count the non-matching rows whose score reaches a threshold, for each row of x and each row of y.

    One product of scores serves both directions.

    Parameters
    ----------
    x, y : (n, d) and (m, d) arrays of one dtype
        Rows.
    thresholds_x : (n,) array
        Threshold of each row of x.
    thresholds_y : (m,) array
        Threshold of each row of y, in the order of `order`.
    owner : (p,) int array, sorted
        Row of x of each matching pair.
    columns : (p,) int array, optional
        Row of y of each matching pair, in the order of `order`. Default: row j belongs to pair j.
    order : (m,) int array, optional
        Order of the rows of y. Default: as they are.
    run : callable, default map
        See `tile_map`.

    Returns
    -------
    tuple of (n,) and (m,) int arrays
        Counts.

    Examples
    --------
    >>> options = {"thresholds_x": np.zeros(2), "thresholds_y": np.ones(2), "owner": np.arange(2)}
    >>> counts_x, counts_y = count_at_least(np.eye(2), np.eye(2), **options)
    >>> counts_x.tolist(), counts_y.tolist()
    ([1, 1], [0, 0])
    """
    (score_matrix,) = score_matrices(x, y, order=order)
    counts_x, counts_y = np.zeros(len(x), dtype=np.int64), np.zeros(len(y), dtype=np.int64)
    columns = np.arange(len(owner)) if columns is None else columns
    counter = score_matrix.pair_counter(thresholds_x, thresholds_y, owner, columns)
    for rows, tile_columns, (tile_x, tile_y) in score_matrix.map_tiles(counter, run=run):
        counts_x[rows] += tile_x
        counts_y[tile_columns] += tile_y
    return counts_x, counts_y

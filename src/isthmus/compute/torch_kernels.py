"""Tiles of scores and operations on a tile, with PyTorch on a device.

Scores are rounded differently there, so that rows whose scores differ by a few units of rounding may change places.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.compute.devices import full_precision, to_device
from isthmus.compute.score_matrix import ScoreMatrix, Tile, TileFunction, TopK, block_slices

#: Scores in one block on the device: 256 MB of float32, and masks of the same shape. Devices need larger blocks than
#: the cache of a processor, because each block launches several kernels.
DEVICE_BLOCK_SCORES = 2**26


class TorchScoreMatrix(ScoreMatrix):
    """Inner products of queries and corpus rows, computed block by block on a PyTorch device.

    Parameters
    ----------
    queries, corpus : (n, d) and (m, d) tensors
        Rows on the device.
    device : str
        The device.
    """

    def __init__(self, queries: Any, corpus: Any, *, device: str):
        self.shape = (len(queries), len(corpus))
        self._queries = queries
        self._corpus = corpus
        self._device = device

    @classmethod
    def of(
        cls, queries: np.ndarray, *corpora: np.ndarray, device: str, order: np.ndarray | None = None
    ) -> list[ScoreMatrix]:
        """Copy rows to the device and return the scores of the queries against each corpus."""
        dtype = np.result_type(queries, *corpora)
        device_queries = to_device(queries.astype(dtype, copy=False), device)
        matrices: list[ScoreMatrix] = []
        for corpus in corpora:
            rows = (corpus if order is None else corpus[order]).astype(dtype, copy=False)
            matrices.append(
                cls(device_queries, device_queries if corpus is queries else to_device(rows, device), device=device)
            )
        return matrices

    def blocks(self, first: int = 0, last: int | None = None) -> list[slice]:
        """Return blocks of the queries first .. last - 1 whose scores against the whole corpus fit the block size."""
        return block_slices(self.shape[1], first, self.shape[0] if last is None else last, DEVICE_BLOCK_SCORES)

    def tiles(self) -> list[Tile]:
        """Return tiles of full rows: narrower ones are not faster on a device."""
        return [(rows, slice(0, self.shape[1])) for rows in self.blocks()]

    def tile(self, rows: slice, columns: slice | None = None) -> Any:
        """Return the scores of one tile on the device."""
        corpus = self._corpus if columns is None else self._corpus[columns]
        with full_precision():
            return self._queries[rows] @ corpus.T

    @staticmethod
    def topk(scores: Any, k: int) -> TopK:
        """Return the k largest scores of each row of a block."""
        topk_scores, topk_columns = scores.topk(min(k, scores.shape[1]), dim=1)
        return TopK(to_numpy(topk_scores), to_numpy(topk_columns))

    @staticmethod
    def topk_set(scores: Any, k: int) -> np.ndarray:
        """Return the columns of the k largest scores of each row of a block, in any order, (b, k)."""
        return TorchScoreMatrix.topk(scores, k).index

    @staticmethod
    def diagonal(scores: Any, offset: int) -> Any:
        """Return a copy of scores[i, offset + i], (b, 1)."""
        return scores.diagonal(offset).clone()[:, None]

    @staticmethod
    def fill_diagonal(scores: Any, offset: int, value: float) -> None:
        """Set scores[i, offset + i] in place."""
        scores.diagonal(offset)[:] = value

    @staticmethod
    def to_bytes(mask: Any) -> Any:
        """Return a mask as integers of one byte, which can be added."""
        return mask.byte()

    @staticmethod
    def sums(counts: Any, axis: int) -> np.ndarray:
        """Return int64 sums of small integers along one axis, as a NumPy array."""
        return to_numpy(counts.sum(axis))

    def rank_relevant(
        self, scores: Any, rows: slice, columns: np.ndarray, is_relevant: np.ndarray, slack: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rank the relevant corpus rows of a block of queries, see `ScoreMatrix.rank_relevant`."""
        relevant_columns, mask = (to_device(table[rows], self._device) for table in (columns, is_relevant))
        relevant = scores.gather(1, relevant_columns).masked_fill(~mask, -np.inf)
        scores.scatter_reduce_(
            1, relevant_columns, relevant.new_full(relevant_columns.shape, -np.inf).where(mask, np.inf), "amin"
        )
        relevant = relevant.sort(dim=1, descending=True).values
        above = [to_numpy((scores >= score[:, None] - slack).sum(1)) for score in relevant.T]
        return to_numpy(relevant), np.stack(above, axis=1)

    def pair_counter(
        self, thresholds_x: np.ndarray, thresholds_y: np.ndarray, pair_rows: np.ndarray, pair_columns: np.ndarray
    ) -> TileFunction:
        """Return the operation of `count_at_least` on a tile of full rows, see `ScoreMatrix.pair_counter`."""
        minimum_x, minimum_y, matching_rows, matching_columns = (
            to_device(values, self._device) for values in (thresholds_x, thresholds_y, pair_rows, pair_columns)
        )

        def count(scores: Any, rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray]:
            begin, end = np.searchsorted(pair_rows, (rows.start, rows.stop))
            scores[matching_rows[begin:end] - rows.start, matching_columns[begin:end]] = -np.inf
            counts_x = (scores >= minimum_x[rows, None]).sum(1)
            counts_y = (scores >= minimum_y[columns]).sum(0)
            return to_numpy(counts_x), to_numpy(counts_y)

        return count

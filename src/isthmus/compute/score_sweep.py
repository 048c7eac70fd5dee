"""One pass over the scores within two sets of rows and between them. Everything that looks at scores sees each once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from isthmus.compute.score_matrix import even_slices
from isthmus.compute.topk import tile_map
from isthmus.compute.workspace import Workspace

#: Rows and columns of a tile: 4 MB of float32, which stay in the cache while all consumers look at them.
TILE_ROWS = 1000


class ScoreConsumer(Protocol):
    """A computation that looks at every tile of scores.

    Tiles of 'xx' and 'yy' lie on the diagonal or above it, because these scores are symmetric. A tile above the
    diagonal serves its rows and its columns. Tiles of 'xy' cover the whole matrix, with x as rows.

    Attributes
    ----------
    kinds : tuple of str
        The kinds of tiles that the computation looks at, of 'xx', 'yy' and 'xy'.
    """

    kinds: tuple[str, ...]

    def tile(self, kind: str, scores: np.ndarray, rows: slice, columns: slice) -> Any:
        """Return the partial result of one tile. It is called in several threads.

        A consumer may set the diagonal of the whole matrix (row i, column i) to -inf, and nothing else. Consumers are
        called in order, so that the first one sees the scores as they are.
        """
        ...

    def add(self, kind: str, partial: Any, rows: slice, columns: slice) -> None:
        """Add a partial result. It is called in one thread, in the order of the tiles."""
        ...


def sweep_blocks(n: int) -> list[slice]:
    """Return the slices of n rows that tiles cover, in both directions."""
    return even_slices(n, TILE_ROWS)


def sweep_scores(x: np.ndarray, y: np.ndarray, consumers: Sequence[ScoreConsumer]) -> None:
    """Compute all scores of n rows of x and n rows of y, within and between, and give each tile to the consumers.

    Parameters
    ----------
    x, y : (n, d) arrays
        Rows.
    consumers : sequence of ScoreConsumer
        What looks at the scores.

    Examples
    --------
    >>> class Largest:
    ...     kinds, value = ("xy",), -np.inf
    ...     def tile(self, kind, scores, rows, columns):
    ...         return scores.max()
    ...     def add(self, kind, partial, rows, columns):
    ...         self.value = max(self.value, float(partial))
    >>> largest = Largest()
    >>> sweep_scores(np.eye(2), 2 * np.eye(2), [largest])
    >>> largest.value
    2.0
    """
    x, y = np.ascontiguousarray(x), np.ascontiguousarray(y)
    operands = {"xx": (x, x), "yy": (y, y), "xy": (x, y)}
    blocks = sweep_blocks(len(x))
    tiles = [
        (kind, rows, columns)
        for kind in operands
        if any(kind in consumer.kinds for consumer in consumers)
        for number, rows in enumerate(blocks)
        for columns in (blocks if kind == "xy" else blocks[number:])
    ]
    workspace = Workspace()

    def consume(tile: tuple[str, slice, slice]) -> list[tuple[ScoreConsumer, Any]]:
        kind, rows, columns = tile
        a, b = operands[kind][0][rows], operands[kind][1][columns]
        scores = workspace.empty("scores", (len(a), len(b)), np.result_type(a, b))
        np.matmul(a, b.T, out=scores)
        return [
            (consumer, consumer.tile(kind, scores, rows, columns)) for consumer in consumers if kind in consumer.kinds
        ]

    with tile_map(2 * len(x) * len(y)) as run:
        for (kind, rows, columns), partials in zip(tiles, run(consume, tiles), strict=True):
            for consumer, partial in partials:
                consumer.add(kind, partial, rows, columns)


def fill_diagonal(scores: np.ndarray, rows: slice, columns: slice, value: float) -> None:
    """Set the entries of a tile whose row and column of the whole matrix are the same.

    The columns of the tile cover all of its rows, or none of them.
    """
    if columns.start <= rows.start < columns.stop:
        first = rows.start - columns.start
        np.fill_diagonal(scores[:, first : first + len(scores)], value)

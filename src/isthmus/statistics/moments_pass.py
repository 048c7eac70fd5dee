"""Precision and plan of the pass over pairs that computes their moments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from isthmus.compute.accumulate import Block
from isthmus.compute.arrays import compute_dtype
from isthmus.compute.resources import PassPlan, current, plan_pass
from isthmus.data.pairs import Pairs
from isthmus.utils.progress import report_progress

#: Largest number of pairs for which block products are float64 by default.
MAX_FLOAT64_PAIRS = 50_000
#: Blocks after which a pass tells its progress. Shorter passes are parts of other stages.
TOLD_BLOCKS = 64


def gemm_dtype(pairs: Pairs, matmul_dtype: str | None) -> str:
    """Return the precision of block products.

    Parameters
    ----------
    pairs : Pairs
        The pairs.
    matmul_dtype : {'float32', 'float64'}, optional
        The precision that the caller requested.

    Returns
    -------
    str
        The requested precision, else float64 for up to `MAX_FLOAT64_PAIRS` pairs, else the precision of the data.
    """
    wide = any(compute_dtype(source.dtype) == "float64" for source in (pairs.x, pairs.y))
    return matmul_dtype or ("float64" if wide or pairs.n_pairs <= MAX_FLOAT64_PAIRS else "float32")


def reported_blocks(pairs: Pairs, size: int, start: int, stop: int) -> Iterator[Block]:
    """Yield the blocks of a range of items, and report how many of them were read.

    Parameters
    ----------
    pairs : Pairs
        The pairs.
    size : int
        Items in a block.
    start, stop : int
        Range of items.

    Yields
    ------
    Block
        Rows and owners, see `Pairs.blocks`.
    """
    n_blocks = -(-(stop - start) // size)
    for number, block in enumerate(pairs.blocks(size, start, stop)):
        if number >= TOLD_BLOCKS and number % 16 == 0:
            report_progress(number, n_blocks, "reading rows")
        yield block


def plan_moments(pairs: Pairs, dtype: str) -> PassPlan:
    """Plan a pass over pairs with the resources in use.

    Parameters
    ----------
    pairs : Pairs
        The pairs.
    dtype : {'float32', 'float64'}
        Precision of the block products.

    Returns
    -------
    PassPlan
        Rows of a block, number of workers, BLAS threads and devices.
    """
    resources = current()
    sources = (pairs.x, pairs.y)
    if not all(source.is_numpy for source in sources):  # rows of other libraries stay on their device, in one thread
        resources = replace(resources, threads=1, devices=())
    return plan_pass(
        resources,
        pairs.x.shape[1],
        pairs.y.shape[1],
        items=pairs.n_items,
        itemsize=8 if dtype == "float64" else 4,
        rows_per_item=1.0 if pairs.index is None else max(pairs.n_pairs / pairs.n_items, 1.0),
        itemsize_on_disk=max(8 if compute_dtype(source.dtype) == "float64" else 4 for source in sources),
        decompressed=not all(source.random_access for source in sources),
    )


def distinct_rows(pairs: Pairs, start: int, stop: int) -> dict[str, int]:
    """Return the numbers of distinct rows of x and of y in the pairs of one part of a pass.

    Parameters
    ----------
    pairs : Pairs
        All pairs.
    start, stop : int
        Range of items of the part, in the order of `Pairs.blocks`.

    Returns
    -------
    dict
        The numbers `n_x` and `n_y`.

    Examples
    --------
    >>> rows = np.eye(3)
    >>> distinct_rows(Pairs(image=rows, text=rows[[0, 0, 1, 2]], index=[0, 0, 1, 2]), 0, 2)
    {'n_x': 2, 'n_y': 3}
    """
    component = pairs.sampling_units
    counts = np.bincount(component)
    begins = np.cumsum(counts) - counts  # components are whole in the part in which they begin
    is_inside = ((begins >= start) & (begins < stop))[component][pairs.owner]
    n_x = len(np.unique(pairs.owner[is_inside]))
    if pairs.y_groups is None:
        return {"n_x": n_x, "n_y": int(np.count_nonzero(is_inside))}
    # Where items and not components are units, a row of y may match items of several parts and counts once.
    order = np.argsort(component[pairs.owner], kind="stable")
    first = order[np.unique(pairs.y_groups[order], return_index=True)[1]]
    return {"n_x": n_x, "n_y": int(np.count_nonzero(is_inside[first]))}

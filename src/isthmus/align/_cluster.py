"""Apply an aligner on the workers of a cluster."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.align._base import Aligner
from isthmus.compute.cluster import Cluster
from isthmus.compute.resources import block_rows
from isthmus.data.sources import Source, open_source
from isthmus.utils.errors import InputError
from isthmus.utils.files import atomic_path


def apply_on_cluster(
    cluster: Cluster, aligner: Aligner, source: Source, path: str | os.PathLike[str], /, *, modality: int
) -> tuple[int, int]:
    """Write the aligned rows of a source as .npy to a path that all workers can write.

    The file appears atomically, and no row crosses the network.

    Parameters
    ----------
    cluster : Cluster
        Workers that can open the source under the same path.
    aligner : Aligner
        A fitted aligner.
    source : Source
        Rows to map.
    path : path-like
        File to write.
    modality : {0, 1}
        0 for x, 1 for y.

    Returns
    -------
    tuple of int
        Shape of the written rows.

    Raises
    ------
    InputError
        If the name of the file does not end in .npy.
    """
    if Path(path).suffix != ".npy":
        raise InputError(f"{path}: a cluster writes .npy files; give a name that ends in it, or use one process")
    first = _mapped(aligner, source.read(0, 1), modality)
    shape = (source.shape[0], first.shape[1])
    with atomic_path(path) as temporary:
        np.lib.format.open_memmap(temporary, mode="w+", dtype=first.dtype, shape=shape).flush()
        options = {"path": source.address, "output": str(temporary.absolute()), "modality": modality}
        parts = cluster.split(shape[0], block_rows(source.shape[1]))
        cluster.tree_reduce(_apply_part, aligner, parts, "rows", **options)
    return shape


def _apply_part(aligner: Aligner, start: int, stop: int, *, path: str, output: str, modality: int) -> int:
    """Write the mapped rows start .. stop - 1 to the output and return their number."""
    source, rows = open_source(path), np.lib.format.open_memmap(output, mode="r+")
    size = block_rows(source.shape[1])
    for begin in range(start, stop, size):
        end = min(begin + size, stop)
        rows[begin:end] = _mapped(aligner, source.read(begin, end), modality)
    rows.flush()
    return stop - start


def _mapped(aligner: Aligner, rows: Any, modality: int) -> np.ndarray:
    """Return the mapped rows of one modality as a NumPy array."""
    return np.asarray((aligner.transform_x, aligner.transform_y)[modality](np.asarray(rows)))

"""Apply an aligner on the workers of a cluster."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._corpus_check import CorpusWarning
from isthmus.compute.arrays import to_numpy
from isthmus.compute.cluster import Cluster
from isthmus.compute.resources import block_rows
from isthmus.data.sources import Source, open_source
from isthmus.utils.errors import InputError
from isthmus.utils.files import atomic_path
from isthmus.utils.warning import without_warnings


@dataclass(frozen=True, eq=False)
class RowForm:
    """The form in which an aligner gives rows of one modality.

    Attributes
    ----------
    aligner : Aligner
        A fitted aligner.
    modality : str
        Modality of the rows.
    role : {'stored', 'query'} or None
        Whether an index stores the rows or is asked with them. None is allowed for row maps.
    queries : str or None
        Modality of the queries, for stored rows.
    """

    aligner: Aligner
    modality: str
    role: str | None = None
    queries: str | None = None

    def __post_init__(self) -> None:
        if self.role is None and self.aligner.corrects_scores:
            raise InputError(
                f"{type(self.aligner).__name__} corrects scores, so rows have two forms; give role='stored' for the "
                "rows of an index, or role='query' for its queries (--role stored or --role query)"
            )
        if self.role not in (None, "stored", "query"):
            raise InputError(f"role={self.role!r}, expected 'stored' or 'query'")
        if self.queries is not None and self.role != "stored":
            raise InputError(f"queries={self.queries!r} is for stored rows; give role='stored' (--role stored) with it")

    def rows(self, rows: Any) -> np.ndarray:
        """Return rows in this form, as a NumPy array."""
        rows = to_numpy(rows)
        with without_warnings(CorpusWarning):  # `drift_warnings` compares rows of the whole file
            if self.role == "query":
                return to_numpy(self.aligner.query(rows, modality=self.modality))
            return to_numpy(self.aligner.stored(rows, modality=self.modality, queries=self.queries))


def apply_on_cluster(
    cluster: Cluster, form: RowForm, source: Source, path: str | os.PathLike[str], /
) -> tuple[int, int]:
    """Write the aligned rows of a source as .npy to a path that all workers can write.

    The file appears atomically, and no row crosses the network.

    Parameters
    ----------
    cluster : Cluster
        Workers that can open the source under the same path.
    form : RowForm
        Form of the rows.
    source : Source
        Rows to map.
    path : path-like
        File to write.

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
    first = form.rows(source.read(0, 1))
    shape = (source.shape[0], first.shape[1])
    with atomic_path(path) as temporary:
        np.lib.format.open_memmap(temporary, mode="w+", dtype=first.dtype, shape=shape).flush()
        # The address of a URL is without its password.
        url = getattr(source.location, "url", None)
        path_of_source = source.address if url is None else f"{url}::{source.member}" if source.member else url
        options = {"path": path_of_source, "output": str(temporary.absolute()), "reading": source.reading}
        parts = cluster.split(shape[0], block_rows(source.shape[1]))
        cluster.tree_reduce(_apply_part, form, parts, "rows", **options)
    return shape


def _apply_part(form: RowForm, start: int, stop: int, *, path: str, output: str, reading: dict[str, Any]) -> int:
    """Write the mapped rows start .. stop - 1 to the output and return their number."""
    source, rows = open_source(path, **reading), np.lib.format.open_memmap(output, mode="r+")
    size = block_rows(source.shape[1])
    for begin in range(start, stop, size):
        end = min(begin + size, stop)
        rows[begin:end] = form.rows(source.read(begin, end))
    rows.flush()
    return stop - start

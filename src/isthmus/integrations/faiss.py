"""A correction in front of an index of faiss, so that raw queries get the corrected ranking."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.align._base import Aligner
from isthmus.integrations._layers import Linear, role_layers
from isthmus.utils.errors import InputError, import_optional


def to_faiss(correction: Aligner, index: Any, /, *, modality: str) -> Any:
    """Return an index that corrects raw queries of one modality on the way to an index of stored rows.

    `faiss.write_index` saves it with its transforms, and it is searched without isthmus.

    Parameters
    ----------
    correction : Aligner
        A fitted correction.
    index : faiss.Index
        Index of inner products that holds what `stored` returns, such as the output of ``isthmus apply``.
    modality : str
        Modality of the queries.

    Returns
    -------
    faiss.IndexPreTransform
        The index with the transforms of the queries. It shares the rows of `index`, and adds none.

    Raises
    ------
    InputError
        If faiss is not installed, the modality is unknown, the map divides several blocks of columns by their norms, or
        the index has another width.

    Examples
    --------
    >>> asked = to_faiss(correction, faiss.read_index("corrected.index"), modality="text")  # doctest: +SKIP
    >>> scores, rows = asked.search(raw_queries, 10)  # doctest: +SKIP
    """
    faiss = import_optional("faiss", "faiss", "to_faiss", package="faiss-cpu")
    layers = role_layers(correction, role="query", modality=modality)
    width, transforms = correction.dim(modality), []
    for layer in layers:
        if isinstance(layer, Linear):
            before, width = layer.matrix.shape
            transform = faiss.LinearTransform(before, width, True)
            faiss.copy_array_to_vector(np.ascontiguousarray(layer.matrix.T, dtype=np.float32).ravel(), transform.A)
            faiss.copy_array_to_vector(layer.bias.astype(np.float32), transform.b)
            transform.is_trained = True
        elif len(layer.widths) == 1:
            transform = faiss.NormalizationTransform(width, 2.0)
        else:
            raise InputError(
                f"{type(correction).__name__} divides {len(layer.widths)} blocks of columns by their norms, and faiss "
                "has no transform for that; ask the index with query(rows, modality=)"
            )
        transforms.append(transform)
    if index.d != width:
        raise InputError(
            f"got an index of width {index.d}, expected {width}: the rows of stored(); make it with `isthmus apply`"
        )
    asked = index
    for transform in reversed(transforms):
        asked = faiss.IndexPreTransform(transform, asked)
    return asked

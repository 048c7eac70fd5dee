"""Chroma: queries and documents that are corrected on the way in."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.utils import errors


def chroma_embedding(correction: Any, base: Any, /, *, stored: str = "image", query: str = "text") -> Any:
    """Return an embedding function of Chroma that corrects what another one returns.

    Give it to a collection whose space is the inner product, ``{"hnsw": {"space": "ip"}}``. Documents and images that
    are added take the stored form, and `query_texts` and `query_images` the form of queries. Chroma does not save
    the function, so give it again whenever the collection is opened.

    Parameters
    ----------
    correction : Aligner
        A fitted correction.
    base : chromadb.EmbeddingFunction
        The embedding function that is corrected.
    stored : str, default "image"
        Modality of what is added.
    query : str, default "text"
        Modality of the queries.

    Returns
    -------
    chromadb.EmbeddingFunction
        The corrected function.

    Raises
    ------
    InputError
        If chromadb is not installed.

    Examples
    --------
    >>> function = chroma_embedding(correction, OpenCLIPEmbeddingFunction())  # doctest: +SKIP
    >>> collection = client.create_collection(  # doctest: +SKIP
    ...     "items", embedding_function=function, configuration={"hnsw": {"space": "ip"}}
    ... )
    """
    chromadb = errors.import_optional("chromadb", "chroma", "chroma_embedding", package="chromadb")

    class CorrectedEmbedding(chromadb.EmbeddingFunction):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            """Hold nothing: the correction is in the closure."""

        def __call__(self, input: Any) -> Any:
            return list(np.asarray(correction.stored(np.asarray(base(input)), modality=stored), dtype=np.float32))

        def embed_query(self, input: Any) -> Any:
            rows = np.asarray(base.embed_query(input))
            return list(np.asarray(correction.query(rows, modality=query), dtype=np.float32))

        @staticmethod
        def name() -> str:
            return "isthmus"

        def default_space(self) -> Any:
            return "ip"

        def supported_spaces(self) -> Any:
            return ["ip"]

        def is_legacy(self) -> bool:
            """Return True: Chroma does not save a correction, so the function is given whenever a collection opens."""
            return True

    return CorrectedEmbedding()

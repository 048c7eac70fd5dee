"""Chroma: collections of a folder as sources and new collections, and queries that are corrected on the way in."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.data.sources import Store, StoreAddress, StoreTable, register_store
from isthmus.data.sources._stores import require_table
from isthmus.utils import errors
from isthmus.utils.errors import InputError, unknown_name

#: Key of the note in the metadata of a collection.
NOTE = "isthmus"


@register_store
class Chroma(Store):
    """Chroma (chroma:FOLDER/COLLECTION?modality=image): a second collection with the same ids."""

    scheme = "chroma"
    options = ()

    def parse(self, url: str) -> StoreAddress:
        """Return the parts of an address, which is a path and has no slashes after the scheme."""
        return replace(super().parse(url), slashes="")

    def open_table(self, address: StoreAddress) -> ChromaTable:
        """Open a collection of a folder."""
        client, chroma_errors = _client(address, create=False)
        try:
            collection = client.get_collection(address.table, embedding_function=None)
        except chroma_errors.NotFoundError:
            raise unknown_name(f"collection in {address.folder}", address.table, _names(client)) from None
        return ChromaTable(address, client, collection)

    def create_table(
        self, address: StoreAddress, ids: np.ndarray, width: int, dtype: np.dtype, note: str
    ) -> ChromaTable:
        """Create a collection of inner products."""
        del ids, dtype
        client, chroma_errors = _client(address, create=True)
        options = {"metadata": {NOTE: note}, "configuration": {"hnsw": {"space": "ip"}}, "embedding_function": None}
        try:
            if address.table not in _names(client):
                client.create_collection(address.table, **options)
        except chroma_errors.InvalidArgumentError as error:
            raise InputError(f"{address}: Chroma reports: {errors.first_line(error)}") from None
        collection = client.get_collection(address.table, embedding_function=None)
        if (collection.metadata or {}).get(NOTE) != note:
            raise InputError(f"{address}: exists; give the name of a new collection")
        return ChromaTable(address, client, collection, width)


class ChromaTable(StoreTable):
    """The records of a collection in the order of their ids, as numbers if all ids are whole numbers, else as text."""

    ordered = True

    def __init__(self, address: StoreAddress, client: Any, collection: Any, width: int = 0):
        if address.column is not None:
            raise InputError(f"{address}: a collection of Chroma holds one vector a record; leave out the column")
        self.address, self.collection = address, collection
        self.dtype = np.dtype(np.float32)
        self.batch_size = int(client.get_max_batch_size())
        self._where = _condition(address)
        self.names = np.asarray(collection.get(where=self._where, include=[])["ids"], dtype=np.str_)
        self.ids = _numbers(self.names)
        order = np.argsort(self.ids, kind="stable")
        self.names, self.ids = self.names[order], self.ids[order]
        self.count = len(self.ids)
        self.width = int(collection.get_model().dimension or width)

    def blocks(self, size: int, *, missing: str | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the records in the order of their ids."""
        del missing
        size = min(size, self.batch_size)
        for begin in range(0, self.count, size):
            names = self.names[begin : begin + size]
            selection = {"where": self._where} if self.count <= size else {"ids": names.tolist()}
            records = self.collection.get(**selection, include=["embeddings"])
            rows, returned = (
                np.asarray(records["embeddings"], dtype=np.float32),
                np.asarray(records["ids"], dtype=np.str_),
            )
            if not np.array_equal(returned, names):  # Chroma returns records in an order of its own
                order, sorted_names = np.argsort(returned), np.argsort(names)
                if not np.array_equal(returned[order], names[sorted_names]):
                    raise InputError(
                        f"{self.address}: records were added or removed while they were read; open it again"
                    )
                position = np.empty(len(names), dtype=np.int64)
                position[sorted_names] = order
                rows = rows[position]
            yield self.ids[begin : begin + size], rows

    def key_blocks(self, name: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield ids and the values of a metadata field, or the ids themselves for 'id'."""
        if name == "id":
            yield self.ids, self.ids
            return
        records = self.collection.get(where=self._where, include=["metadatas"])
        values = {
            key: (fields or {}).get(name) for key, fields in zip(records["ids"], records["metadatas"], strict=True)
        }
        keys = [values[key] for key in self.names.tolist()]
        if None in keys:
            raise InputError(
                f"{self.address}: metadata {name!r}: {keys.count(None):,} records lack it; every record needs a key"
            )
        is_number = all(isinstance(key, int) for key in keys)
        yield self.ids, np.asarray(keys if is_number else [str(key) for key in keys])

    def written_ids(self) -> np.ndarray:
        """Return the ids of all records in ascending order."""
        return self.ids

    def note(self, column: str) -> str | None:
        """Raise `InputError`, because vectors are written to a new collection."""
        del column
        raise InputError(
            f"{self.address}: Chroma keeps one vector a record, so vectors are written to a new collection and not "
            "beside the old ones; give its address as the output"
        )

    def write(self, column: str, ids: np.ndarray, rows: np.ndarray) -> None:
        """Add records."""
        del column
        for begin in range(0, len(ids), self.batch_size):
            end = begin + self.batch_size
            names = [str(key) for key in ids[begin:end].tolist()]
            self.collection.upsert(ids=names, embeddings=np.ascontiguousarray(rows[begin:end], dtype=np.float32))


def _client(address: StoreAddress, *, create: bool) -> tuple[Any, Any]:
    """Open the folder of an address, and return its client and the module of Chroma's errors."""
    chromadb = errors.import_optional("chromadb", "chroma", f"reading {address}")
    require_table(address, "chroma:folder/collection")
    if not create and not (Path(address.folder) / "chroma.sqlite3").is_file():
        raise InputError(f"{address}: there is no Chroma in the folder {address.folder}; give chroma:FOLDER/COLLECTION")
    settings = chromadb.Settings(anonymized_telemetry=False)
    return chromadb.PersistentClient(address.folder, settings=settings), chromadb.errors


def _names(client: Any) -> list[str]:
    """Return the names of the collections of a client."""
    return [collection.name for collection in client.list_collections()]


def _condition(address: StoreAddress) -> dict[str, Any] | None:
    """Return the filters of an address: a field has the value as text, or as the number or the truth that it spells."""
    conditions: list[dict[str, Any]] = []
    for name, text in address.filters:
        values: list[Any] = [text]
        for number in (int, float):
            try:
                values.append(number(text))
            except ValueError:
                continue
        values = [value for value in values if not isinstance(value, float) or math.isfinite(value)]
        values += [text.lower() == "true"] if text.lower() in ("true", "false") else []
        choices = [{name: value} for value in values]
        conditions.append(choices[0] if len(choices) == 1 else {"$or": choices})
    return None if not conditions else conditions[0] if len(conditions) == 1 else {"$and": conditions}


def _numbers(names: np.ndarray) -> np.ndarray:
    """Return ids as integers if all are written as such, else as text."""
    try:
        numbers = names.astype(np.int64) if len(names) else np.empty(0, dtype=np.int64)
    except (ValueError, OverflowError):
        return names
    return numbers if (numbers.astype(np.str_) == names).all() else names


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

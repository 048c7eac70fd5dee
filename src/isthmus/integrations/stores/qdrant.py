"""Qdrant: shards of qdrant-edge in a folder, and collections behind qdrant-client, as sources and as new tables."""

from __future__ import annotations

import atexit
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol
from weakref import WeakValueDictionary

import numpy as np

from isthmus.data.sources import Store, StoreAddress, StoreTable, register_store
from isthmus.utils import errors, validation
from isthmus.utils.errors import InputError, unknown_name
from isthmus.utils.files import atomic_path

#: File of a shard of qdrant-edge, of a folder of the local client, and of the note of a shard that `apply` made.
EDGE_FILE, LOCAL_FILE, NOTE_FILE = "edge_config.json", "meta.json", "isthmus.json"
#: Name that stands for vectors without a name.
UNNAMED = "vector"
#: Numbers in one request. A server takes requests of at most 32 MB of text.
REQUEST_NUMBERS = 2**19

Record = tuple[Any, Any, dict[str, Any]]


@register_store
class Qdrant(Store):
    """Qdrant (qdrant:FOLDER::VECTOR of qdrant-edge, qdrant://HOST:PORT/COLLECTION::VECTOR): a new shard, by id."""

    scheme = "qdrant"
    options = ("https",)

    def parse(self, url: str) -> StoreAddress:
        """Return the parts of an address. Two slashes introduce a host, and a folder comes without them."""
        address = super().parse(url)
        return replace(address, slashes="//" if url.startswith("qdrant://") else "")

    def open_table(self, address: StoreAddress) -> QdrantTable:
        """Open the points of a shard or a collection."""
        return QdrantTable(address, _backend(address))

    def create_table(self, address: StoreAddress, ids: np.ndarray, width: int, dtype: np.dtype, note: str) -> Any:
        """Create a shard or a collection of one named vector with inner products."""
        del dtype
        address = address.with_column(address.column or UNNAMED)
        if not np.issubdtype(ids.dtype, np.integer) or (ids < 0).any():
            raise InputError(f"{address}: Qdrant takes ids that are integers from 0; the first id is {ids[0]!r}")
        backend = _created(address, width, note)
        if backend.note() != note:
            raise InputError(f"{address}: exists; give the name of a new one")
        return QdrantTable(address, backend)


class Backend(Protocol):
    """Methods that a shard and a collection share."""

    def vectors(self) -> dict[str, int]:
        """Return the widths of the vectors by name."""

    def count(self, filters: Sequence[tuple[str, str]]) -> int:
        """Return the number of points."""

    def scroll(
        self, filters: Sequence[tuple[str, str]], offset: Any, size: int, vector: str | None, payload: list[str]
    ) -> tuple[list[Record], Any]:
        """Return ids, vectors and payloads of the next points in the order of the ids, and the next offset."""

    def upsert(self, column: str, ids: list[Any], rows: np.ndarray) -> None:
        """Add or replace points, and return when they are on disk."""

    def note(self) -> str | None:
        """Return the note of a table that `apply` made."""


class QdrantTable(StoreTable):
    """The points in the order of their ids."""

    ordered = True

    def __init__(self, address: StoreAddress, backend: Backend):
        self.backend = backend
        vectors = backend.vectors()
        column = address.column
        if column is None:
            if len(vectors) != 1:
                raise InputError(f"{address}: holds the vectors {', '.join(vectors)}; name one as ::NAME")
            column = next(iter(vectors))
        if column not in vectors:
            raise unknown_name(f"vector in {address.with_column('')}", column, vectors)
        self.address = address.with_column(column)
        self.width, self.dtype = vectors[column], np.dtype(np.float32)
        self.count = backend.count(address.filters)

    def _pages(self, size: int, vector: str | None, payload: list[str]) -> Iterator[list[Record]]:
        offset = None
        while True:
            records, offset = self.backend.scroll(self.address.filters, offset, size, vector, payload)
            if records:
                yield records
            if offset is None:
                return

    def blocks(self, size: int, *, missing: str | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the points in the order of their ids."""
        del missing
        ids: list[Any] = []
        pages: list[np.ndarray] = []
        step = min(size, _request_rows(self.width))
        for records in self._pages(step, str(self.address.column), []):
            if ids and len(ids) + len(records) > size:
                yield _array(ids), np.concatenate(pages)
                ids, pages = [], []
            without = [str(point) for point, vector, _ in records if vector is None]
            if without:
                listed = ", ".join(without[:5])
                raise InputError(
                    f"{self.address}: points such as {listed} lack this vector; remove or embed them again"
                )
            ids += [record[0] for record in records]
            pages.append(np.asarray([record[1] for record in records], dtype=np.float32))
        if ids:
            yield _array(ids), np.concatenate(pages)

    def written_ids(self) -> np.ndarray:
        """Return the ids of all points in ascending order."""
        pages = [_array([record[0] for record in records]) for records in self._pages(65_536, None, [])]
        return np.sort(np.concatenate(pages)) if pages else np.empty(0, dtype=np.int64)

    def key_blocks(self, name: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield ids and the values of a payload, or the ids themselves for 'id'."""
        for records in self._pages(65_536, None, [] if name == "id" else [name]):
            ids = _array([record[0] for record in records])
            if name == "id":
                yield ids, ids
                continue
            values = [record[2].get(name) for record in records]
            nulls = np.flatnonzero([value is None for value in values])
            if len(nulls):
                described = validation.rows_are(nulls, "null or missing")
                raise InputError(f"{self.address}: payload {name!r}: {described}; every point needs a key")
            yield ids, _array(values)

    def note(self, column: str) -> str | None:
        """Raise `InputError`, because vectors are written to a new shard or collection."""
        del column
        raise InputError(
            f"{self.address}: vectors of Qdrant are written to a new shard or collection, not beside the old ones; "
            "give its address as the output"
        )

    def write(self, column: str, ids: np.ndarray, rows: np.ndarray) -> None:
        """Add points."""
        self.backend.upsert(column, ids.tolist(), rows)


class _Shard:
    """A shard of qdrant-edge in a folder, of which a process opens one at a time."""

    def __init__(self, path: str, edge: Any, shard: Any):
        self.path, self.edge, self.shard = Path(path), edge, shard

    def vectors(self) -> dict[str, int]:
        config = json.loads((self.path / EDGE_FILE).read_text(encoding="utf-8"))
        return {name or UNNAMED: int(entry["size"]) for name, entry in config["vectors"].items()}

    def _filter(self, filters: Sequence[tuple[str, str]]) -> Any:
        if not filters:
            return None
        edge = self.edge
        return edge.Filter(must=[edge.FieldCondition(key=_path(k), match=edge.MatchValue(v)) for k, v in filters])

    def count(self, filters: Sequence[tuple[str, str]]) -> int:
        count: int = self.shard.count(self.edge.CountRequest(filter=self._filter(filters), exact=True))
        return count

    def scroll(
        self, filters: Sequence[tuple[str, str]], offset: Any, size: int, vector: str | None, payload: list[str]
    ) -> tuple[list[Record], Any]:
        request = self.edge.ScrollRequest(
            offset=offset,
            limit=size,
            filter=self._filter(filters),
            with_vector=vector is not None,
            with_payload=payload or False,
        )
        points, following = self.shard.scroll(request)
        return [(point.id, _vector(point.vector, vector), point.payload or {}) for point in points], following

    def upsert(self, column: str, ids: list[Any], rows: np.ndarray) -> None:
        points = [self.edge.Point(key, {column: row}, {}) for page in _pages(ids, rows) for key, row in page]
        self.shard.update(self.edge.UpdateOperation.upsert_points(points))
        self.shard.flush()

    def note(self) -> str | None:
        path = self.path / NOTE_FILE
        return str(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def _path(name: str) -> str:
    """Return the path of a field of the payload. Names with other characters than letters and digits are quoted."""
    if '"' in name:
        raise InputError(f"the filter {name!r} holds a double quote, which names of Qdrant's filters cannot hold")
    return name if re.fullmatch(r"[\w.\[\]-]+", name, re.ASCII) else f'"{name}"'


_shards: WeakValueDictionary[str, _Shard] = WeakValueDictionary()


class _Collection:
    """A collection of a server, or of a folder of the local client."""

    def __init__(self, client: Any, name: str, models: Any):
        self.client, self.name, self.models = client, name, models

    def vectors(self) -> dict[str, int]:
        config = self.client.get_collection(self.name).config.params.vectors
        named = config if isinstance(config, dict) else {UNNAMED: config}
        return {name: int(entry.size) for name, entry in named.items()}

    def _filter(self, filters: Sequence[tuple[str, str]]) -> Any:
        if not filters:  # the local client compares every point even with an empty filter
            return None
        m = self.models
        return m.Filter(must=[m.FieldCondition(key=_path(k), match=m.MatchValue(value=v)) for k, v in filters])

    def count(self, filters: Sequence[tuple[str, str]]) -> int:
        count: int = self.client.count(self.name, count_filter=self._filter(filters), exact=True).count
        return count

    def scroll(
        self, filters: Sequence[tuple[str, str]], offset: Any, size: int, vector: str | None, payload: list[str]
    ) -> tuple[list[Record], Any]:
        points, following = self.client.scroll(
            self.name,
            scroll_filter=self._filter(filters),
            limit=size,
            offset=offset,
            with_vectors=vector is not None,
            with_payload=payload or False,
        )
        return [(point.id, _vector(point.vector, vector), point.payload or {}) for point in points], following

    def upsert(self, column: str, ids: list[Any], rows: np.ndarray) -> None:
        for page in _pages(ids, rows):
            points = [self.models.PointStruct(id=key, vector={column: row}, payload={}) for key, row in page]
            self.client.upsert(self.name, points, wait=True)

    def note(self) -> str | None:
        return (self.client.get_collection(self.name).config.metadata or {}).get("isthmus")


_clients: WeakValueDictionary[str, Any] = WeakValueDictionary()


@atexit.register
def _close_clients() -> None:
    """Close the clients before the interpreter ends, because the local client imports a module to close itself."""
    for client in list(_clients.values()):
        client.close()


def _client(address: StoreAddress) -> tuple[Any, Any]:
    """Return a client of the server or of the folder, and its models."""
    library = errors.import_optional("qdrant_client", "qdrant", f"reading {address}")
    folder, key = address.folder, f"{address.slashes}{address.folder}"
    client = _clients.get(key)
    if client is None:
        if address.slashes:
            scheme = "https" if address.options.get("https") else "http"
            client = library.QdrantClient(url=f"{scheme}://{folder}", api_key=os.environ.get("QDRANT_API_KEY"))
        else:
            try:
                client = library.QdrantClient(path=folder)
            except RuntimeError as error:  # another process uses the folder
                raise InputError(f"{address}: cannot be opened ({errors.first_line(error, 150)})") from None
        _clients[key] = client
    return client, library.models


def _is_collection(address: StoreAddress) -> bool:
    """Return whether an address is served by the client: behind a host, or in a folder of the local client."""
    return bool(address.slashes) or (Path(address.folder) / LOCAL_FILE).exists()


def _backend(address: StoreAddress) -> Backend:
    """Open the shard or the collection of an address."""
    if not _is_collection(address):
        if not (Path(address.location) / EDGE_FILE).exists():
            raise InputError(
                f"{address}: is no shard of qdrant-edge; a collection of the local client is qdrant:FOLDER/COLLECTION, "
                "and one of a server qdrant://HOST:6333/COLLECTION"
            )
        edge = errors.import_optional("qdrant_edge", "qdrant", f"reading {address}", package="qdrant-edge-py")
        key = os.path.realpath(address.location)
        shard = _shards.get(key)
        if shard is None:
            shard = _shards[key] = _Shard(address.location, edge, edge.EdgeShard.load(address.location))
        return shard
    client, models = _client(address)
    try:
        names = [collection.name for collection in client.get_collections().collections]
    except Exception as error:  # each transport raises errors of its own
        raise InputError(f"{address}: no answer ({errors.first_line(error)}); check the host") from None
    if address.table not in names:
        raise unknown_name(f"collection in {address.folder}", address.table, names)
    return _Collection(client, address.table, models)


def _created(address: StoreAddress, width: int, note: str) -> Backend:
    """Create the shard or the collection of an address, unless it exists."""
    if not _is_collection(address):
        path = Path(address.location)
        if not (path / EDGE_FILE).exists():
            edge = errors.import_optional("qdrant_edge", "qdrant", f"writing {address}", package="qdrant-edge-py")
            path.mkdir(parents=True, exist_ok=True)
            parameters = edge.EdgeVectorParams(width, edge.Distance.Dot)
            with atomic_path(path / NOTE_FILE) as temporary:
                temporary.write_text(json.dumps(note), encoding="utf-8")
            edge.EdgeShard.create(str(path), edge.EdgeConfig(vectors={address.column: parameters})).close()
        return _backend(address)
    client, models = _client(address)
    if not client.collection_exists(address.table):
        parameters = models.VectorParams(size=width, distance=models.Distance.DOT)
        client.create_collection(address.table, {address.column: parameters}, metadata={"isthmus": note})
    return _Collection(client, address.table, models)


def _request_rows(width: int) -> int:
    """Return the number of vectors in one request."""
    return max(1, REQUEST_NUMBERS // max(width, 1))


def _pages(ids: list[Any], rows: np.ndarray) -> Iterator[Iterator[tuple[Any, list[float]]]]:
    """Yield ids and vectors in the pages of a request."""
    step = _request_rows(rows.shape[1])
    for begin in range(0, len(ids), step):
        yield zip(ids[begin : begin + step], rows[begin : begin + step].tolist(), strict=True)


def _vector(vectors: Any, name: str | None) -> Any:
    """Return the vector of a name, which a point without names holds alone."""
    if name is None or vectors is None:
        return None
    return vectors.get(name, vectors.get("")) if isinstance(vectors, dict) else vectors


def _array(values: list[Any]) -> np.ndarray:
    """Return ids or keys as an array of integers or text."""
    if all(isinstance(value, int) for value in values):
        return np.asarray(values, dtype=np.int64)
    return np.asarray([str(value) for value in values], dtype=np.str_)

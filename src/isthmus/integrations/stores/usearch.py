"""usearch: index files as sources, mapped, and as new files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.data.sources import Store, StoreAddress, StoreTable, register_store
from isthmus.data.sources._ids import selected_ids
from isthmus.data.sources._stored_rows import block_size
from isthmus.utils import errors, paths
from isthmus.utils.errors import InputError
from isthmus.utils.files import atomic_path

#: Files beside an index: its note, and the rows that wait to be added.
NOTE_ENDING, LOG_ENDING = ".isthmus", ".rows"


@register_store
class USearch(Store):
    """usearch (usearch:FILE.usearch?ids=IDS.npy): an index file, mapped, and a new one with the same ids."""

    scheme = "usearch"
    options = ("ids",)

    def parse(self, url: str) -> StoreAddress:
        """Return the parts of an address, which is a path and has no slashes after the scheme."""
        return replace(super().parse(url), slashes="")

    def open_table(self, address: StoreAddress) -> USearchTable:
        """Open an index file."""
        return USearchTable(address, _restored(address))

    def create_table(
        self, address: StoreAddress, ids: np.ndarray, width: int, dtype: np.dtype, note: str
    ) -> USearchTable:
        """Create an index of inner products, whose rows are collected in a file beside it until `finish`."""
        del dtype
        path = Path(address.location)
        if not np.issubdtype(ids.dtype, np.integer) or (ids < 0).any():
            raise InputError(f"{address}: usearch takes ids that are integers from 0; the first id is {ids[0]!r}")
        note_path = path.with_name(path.name + NOTE_ENDING)
        kept = json.loads(note_path.read_text(encoding="utf-8")) if note_path.exists() else None
        if kept != note:
            if path.exists() or kept is not None:
                raise InputError(f"{address}: exists; give the name of a new file")
            paths.check_writable(path)
            with atomic_path(note_path) as temporary:
                temporary.write_text(json.dumps(note), encoding="utf-8")
        return USearchTable(address, _restored(address) if path.exists() else None, width)


class USearchTable(StoreTable):
    """The rows of an index in the order of their ids, and new rows that wait to be added."""

    ordered = True

    def __init__(self, address: StoreAddress, index: Any, width: int = 0):
        if address.column is not None:
            raise InputError(f"{address}: a usearch index holds one set of vectors; leave out '::{address.column}'")
        if address.filters:
            raise InputError(f"{address}: usearch keeps ids and vectors only; select rows as ?ids=IDS.npy")
        self.address, self.index = address, index
        self.dtype = np.dtype(np.float32)
        self.width = width if index is None else int(index.ndim)
        self.ids = np.empty(0, dtype=np.int64) if index is None else np.sort(np.asarray(index.keys).astype(np.int64))
        if "ids" in address.options:
            self.ids = selected_ids(address.options["ids"], self.ids, str(address))
        self.count = len(self.ids)
        path = Path(address.location)
        self._log = path.with_name(f".{path.name}{LOG_ENDING}")
        self._record = np.dtype([("id", "<i8"), ("row", "<f4", (max(self.width, 1),))])

    def blocks(self, size: int, *, missing: str | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows in the order of their ids."""
        del missing
        for begin in range(0, self.count, size):
            ids = self.ids[begin : begin + size]
            yield ids, np.asarray(self.index.get(ids.astype(np.uint64)), dtype=np.float32).reshape(len(ids), -1)

    def key_blocks(self, name: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the ids as the keys 'id'."""
        if name != "id":
            raise InputError(f"{self.address}: holds its ids as the keys 'id', and {name!r} is missing")
        yield self.ids, self.ids

    def written_ids(self) -> np.ndarray:
        """Return the ids of the index and of the rows that wait to be added."""
        return np.union1d(self.ids, self._waiting()["id"])

    def note(self, column: str) -> str | None:
        """Raise `InputError`, because vectors are written to a new file."""
        del column
        raise InputError(
            f"{self.address}: vectors of usearch are written to a new file, not beside the old ones; "
            "give its address as the output"
        )

    def write(self, column: str, ids: np.ndarray, rows: np.ndarray) -> None:
        """Append rows to the file of those that wait to be added."""
        del column
        records = np.empty(len(ids), self._record)
        records["id"], records["row"] = ids, rows
        complete = len(self._waiting()) * self._record.itemsize
        with self._log.open("r+b" if self._log.exists() else "wb") as file:
            file.seek(complete)  # a block that was cut off is written again
            file.truncate()
            file.write(records.data)
            file.flush()
            os.fsync(file.fileno())

    def finish(self) -> None:
        """Add the waiting rows to the index and replace its file."""
        waiting = self._waiting()
        if len(waiting):
            usearch = errors.import_optional("usearch.index", "usearch", f"writing {self.address}", package="usearch")
            index = usearch.Index(ndim=self.width, metric="ip", dtype="f32")
            if self.index is not None:
                index.load(self.address.location)
            for begin in range(0, len(waiting), block_size(self.width)):
                block = waiting[begin : begin + block_size(self.width)]
                index.add(block["id"].astype(np.uint64), np.ascontiguousarray(block["row"]))
            with atomic_path(self.address.location) as temporary:
                index.save(str(temporary))
        self._log.unlink(missing_ok=True)

    def _waiting(self) -> np.ndarray:
        """Map the records of the rows that wait to be added. One that was cut off is left out."""
        count = self._log.stat().st_size // self._record.itemsize if self._log.exists() else 0
        return np.memmap(self._log, self._record, "r", shape=(count,)) if count else np.empty(0, self._record)


def _restored(address: StoreAddress) -> Any:
    """Map an index file."""
    usearch = errors.import_optional("usearch.index", "usearch", f"reading {address}", package="usearch")
    path = paths.check_readable(address.location)
    try:
        index = usearch.Index.restore(str(path), view=True)
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"{address}: is not a complete index of usearch ({errors.first_line(error, 60)}); save it again"
        ) from None
    if str(index.dtype).rpartition(".")[2].lower() not in ("f32", "f16", "bf16"):
        raise InputError(
            f"{address}: holds {index.dtype} codes, which do not give the rows back; expected f32, f16 or bf16; give "
            "the file of the rows that the index was built from"
        )
    if index.multi:
        raise InputError(f"{address}: holds several vectors for an id, expected one; write an index without multi=True")
    return index

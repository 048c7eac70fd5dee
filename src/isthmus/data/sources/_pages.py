"""Pages of Parquet in which the numbers of equal lists lie as they are.

Unpacking lists value by value costs more than multiplying them. Where a page is PLAIN (no dictionary), and its levels
say that no list is null and all are of one width, its numbers are the rows, and are copied as they lie. Whatever is not
so is left to pyarrow: `NotPlain`.

The format: Apache Parquet, parquet.thrift, and its encodings PLAIN and RLE.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

#: Physical type of a column -> dtype of its numbers.
DTYPES = {"FLOAT": "<f4", "DOUBLE": "<f8", "FIXED_LEN_BYTE_ARRAY": "<f2"}
#: Patterns of levels that are remembered; a column has a few, one for each place in a list where its pages begin.
MOST_PATTERNS = 256
_DATA, _DICTIONARY, _PLAIN, _RLE = 0, 2, 0, 3


class NotPlain(Exception):
    """What comes next in this column is not plain."""


class Chunk:
    """The numbers of one column in one row group: rows from `first` on are plain (as far as their pages are)."""

    def __init__(
        self, whole: pa.Buffer, about: Any, *, rows: int, width: int, dtype: np.dtype, level: int, known: set[Any]
    ):
        self._whole, self._about = whole, about
        self._rows, self._width, self._dtype, self._level, self._known = rows, width, dtype, level, known
        offsets = [about.data_page_offset]
        if about.has_dictionary_page and about.dictionary_page_offset is not None:
            offsets.append(about.dictionary_page_offset)
        self._place = min(offsets)
        self._end = self._place + about.total_compressed_size
        if not 0 < self._place < self._end <= whole.size or about.num_values != rows * width:
            raise NotPlain
        self._values = 0  # that lie before the next page
        while True:
            head, body = self._head()
            page = head.get(5)
            if head.get(1) == _DATA and page is not None and page.get(2) == _PLAIN:
                break
            if head.get(1) not in (_DATA, _DICTIONARY):
                raise NotPlain
            self._values += page[1] if page is not None else 0  # of a dictionary: pyarrow unpacks them
            self._place = body + head[3]
        self.first = -(-self._values // width)

    def blocks(self, size: int) -> Iterator[np.ndarray]:
        """Rows `first` and on, in blocks of `size`; `NotPlain` where a page is not."""
        pages = self._pages()
        done, here = self.first, np.empty(0, dtype=self._dtype)
        over = self.first * self._width - self._values  # the end of a list that began before
        while done < self._rows:
            block = np.empty((min(size, self._rows - done), self._width), dtype=self._dtype)
            flat, filled = block.reshape(-1), 0
            while filled < len(flat):
                if not len(here):
                    here = next(pages, here)
                    if not len(here):
                        raise NotPlain
                    here, over = here[over:], max(over - len(here), 0)
                    continue
                part = here[: len(flat) - filled]
                flat[filled : filled + len(part)] = part
                filled += len(part)
                here = here[len(part) :]
            done += len(block)
            yield block

    def _pages(self) -> Iterator[np.ndarray]:
        """The numbers of each page."""
        import pyarrow as pa

        name = self._about.compression
        codec = None if name == "UNCOMPRESSED" else pa.Codec({"LZ4": "lz4_raw"}.get(name, name).lower())
        while self._place < self._end:
            head, body = self._head()
            page = head.get(5)
            if head.get(1) != _DATA or page is None or page.get(2) != _PLAIN or {page.get(3), page.get(4)} != {_RLE}:
                raise NotPlain
            data = self._whole.slice(body, head[3])
            if 4 in head and zlib.crc32(data) != head[4] & 0xFFFFFFFF:
                raise ValueError("a page does not agree with its checksum")
            if codec is not None:
                data = codec.decompress(data, decompressed_size=head[2])
            yield self._numbers(memoryview(data).cast("B"), page[1])
            self._values += page[1]
            self._place = body + head[3]

    def _numbers(self, data: memoryview, count: int) -> np.ndarray:
        """The numbers behind the levels of a page, once these are known to be those of equal lists without nulls."""
        place, levels = 0, []
        for _ in range(2):
            size = int.from_bytes(data[place : place + 4], "little")
            levels.append(bytes(data[place + 4 : place + 4 + size]))
            place += 4 + size
        if count <= 0 or len(data) - place != count * self._dtype.itemsize:
            raise NotPlain
        pattern = (self._values % self._width, count, *levels)
        if pattern not in self._known:
            begins = (np.arange(count) + self._values) % self._width == 0
            if np.any(unpacked(levels[0], 1, count) != ~begins):
                raise NotPlain
            if np.any(unpacked(levels[1], self._level.bit_length(), count) != self._level):
                raise NotPlain
            if len(self._known) >= MOST_PATTERNS:
                self._known.clear()
            self._known.add(pattern)
        return np.frombuffer(data, dtype=self._dtype, count=count, offset=place)

    def _head(self) -> tuple[dict[int, Any], int]:
        """The header of the page at `_place`, and where its body begins."""
        data = memoryview(self._whole).cast("B")[self._place : min(self._place + 2**16, self._end)]
        try:
            head, size = structure(data, 0)
            page = head.get(5, {1: 0})
            whole = min(head[2], head[3], page[1]) >= 0 and self._place + size + head[3] <= self._end
        except (IndexError, KeyError, TypeError):
            raise NotPlain from None
        if not whole:
            raise NotPlain
        return head, self._place + size


def unpacked(data: bytes, bits: int, count: int) -> np.ndarray:
    """`count` levels of `bits` (1 to 8) bits from runs that repeat a value or pack eight of them into `bits` bytes.

    >>> unpacked(bytes([6 << 1, 1, 1 << 1 | 1, 0b00000101]), 1, 9).tolist()
    [1, 1, 1, 1, 1, 1, 1, 0, 1]
    """
    found, place, have = [], 0, 0
    try:
        while have < count:
            head, place = varint(data, place)
            size = head >> 1
            if head & 1:
                packed = np.frombuffer(data, dtype=np.uint8, count=size * bits, offset=place)
                each = np.unpackbits(packed, bitorder="little").reshape(-1, bits)
                run = (each << np.arange(bits, dtype=np.uint8)).sum(axis=1, dtype=np.uint8)
                place += size * bits
            else:
                run = np.full(min(size, count - have), data[place], dtype=np.uint8)
                place += 1
            if not len(run):
                raise NotPlain
            found.append(run)
            have += len(run)
    except (IndexError, ValueError):
        raise NotPlain from None
    return np.concatenate(found)[:count]


def structure(data: memoryview, place: int, depth: int = 0) -> tuple[dict[int, Any], int]:
    """A structure of Thrift's compact protocol as {field: value}, and where it ends; values that no page header of ours
    needs are stepped over."""
    fields: dict[int, Any] = {}
    number = 0
    while data[place]:
        kind, step = data[place] & 15, data[place] >> 4
        place += 1
        if step:
            number += step
        else:
            coded, place = varint(data, place)
            number = _signed(coded)
        fields[number], place = _value(data, place, kind, depth)
    return fields, place + 1


def _value(data: memoryview, place: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in (1, 2):
        return kind == 1, place
    if kind == 3:
        return data[place], place + 1
    if kind in (4, 5, 6):
        coded, place = varint(data, place)
        return _signed(coded), place
    if kind == 7:
        return None, place + 8
    if kind == 8:
        size, place = varint(data, place)
        return None, place + size
    if kind == 12 and depth < 4:
        return structure(data, place, depth + 1)
    raise KeyError(kind)  # lists and maps stand in no page header


def varint(data: bytes | memoryview, place: int) -> tuple[int, int]:
    """A number of up to 64 bits in groups of seven, and where it ends."""
    value = 0
    for shift in range(0, 64, 7):
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise IndexError(place)


def _signed(coded: int) -> int:
    return (coded >> 1) ^ -(coded & 1)

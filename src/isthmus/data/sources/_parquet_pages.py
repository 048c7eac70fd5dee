"""Direct reader of PLAIN Parquet pages that hold the numbers of equal lists.

Decoding lists value by value costs more than multiplying them. The numbers of a page are copied as they lie if it is
PLAIN (no dictionary). Its levels must show that no list is null and all have one width. All other pages raise
`NotPlainError` and are decoded by pyarrow.

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
#: Number of level patterns that are cached. A column has a few, one for each position in a list where its pages begin.
MAX_PATTERNS = 256
# Values of the Thrift enumerations PageType and Encoding.
_DATA, _DICTIONARY, _PLAIN, _RLE = 0, 2, 0, 3
# Field numbers of the Thrift structures PageHeader and DataPageHeader.
_PAGE_TYPE, _UNCOMPRESSED_SIZE, _COMPRESSED_SIZE, _CRC, _DATA_HEADER = 1, 2, 3, 4, 5
_N_VALUES, _ENCODING, _DEFINITION_ENCODING, _REPETITION_ENCODING = 1, 2, 3, 4


class NotPlainError(Exception):
    """Raised when the next page is not PLAIN-encoded."""


class ColumnChunk:
    """The numbers of one column in one row group, whose rows from `first` on lie in PLAIN pages.

    `buffer` is the mapped file and `metadata` the metadata of the column chunk. `level` is the definition level of a
    number that is not null. `patterns` are the level patterns of pages that were checked before.
    """

    def __init__(
        self,
        buffer: pa.Buffer,
        metadata: Any,
        *,
        rows: int,
        width: int,
        dtype: np.dtype,
        level: int,
        patterns: set[Any],
    ):
        self._buffer, self._metadata = buffer, metadata
        self._rows, self._width, self._dtype, self._level, self._patterns = rows, width, dtype, level, patterns
        offsets = [metadata.data_page_offset]
        if metadata.has_dictionary_page and metadata.dictionary_page_offset is not None:
            offsets.append(metadata.dictionary_page_offset)
        self._position = min(offsets)
        self._end = self._position + metadata.total_compressed_size
        if not 0 < self._position < self._end <= buffer.size or metadata.num_values != rows * width:
            raise NotPlainError
        self._values = 0  # number of values before the next page
        while True:
            header, body = self._read_header()
            page = header.get(_DATA_HEADER)
            if header.get(_PAGE_TYPE) == _DATA and page is not None and page.get(_ENCODING) == _PLAIN:
                break
            if header.get(_PAGE_TYPE) not in (_DATA, _DICTIONARY):
                raise NotPlainError
            self._values += page[_N_VALUES] if page is not None else 0  # pyarrow decodes the pages of a dictionary
            self._position = body + header[_COMPRESSED_SIZE]
        self.first = -(-self._values // width)

    def blocks(self, size: int) -> Iterator[np.ndarray]:
        """Yield the rows from `first` on in blocks of `size`.

        Raise `NotPlainError` at the first page that is not plain.
        """
        pages = self._pages()
        row, values = self.first, np.empty(0, dtype=self._dtype)
        skipped = self.first * self._width - self._values  # values of a list that began before the first page
        while row < self._rows:
            block = np.empty((min(size, self._rows - row), self._width), dtype=self._dtype)
            flat, filled = block.reshape(-1), 0
            while filled < len(flat):
                if not len(values):
                    values = next(pages, values)
                    if not len(values):
                        raise NotPlainError
                    values, skipped = values[skipped:], max(skipped - len(values), 0)
                    continue
                copied = values[: len(flat) - filled]
                flat[filled : filled + len(copied)] = copied
                filled += len(copied)
                values = values[len(copied) :]
            row += len(block)
            yield block

    def _pages(self) -> Iterator[np.ndarray]:
        """Yield the numbers of each page."""
        import pyarrow as pa

        name = self._metadata.compression
        codec = None if name == "UNCOMPRESSED" else pa.Codec({"LZ4": "lz4_raw"}.get(name, name).lower())
        while self._position < self._end:
            header, body = self._read_header()
            page = header.get(_DATA_HEADER)
            if header.get(_PAGE_TYPE) != _DATA or page is None or page.get(_ENCODING) != _PLAIN:
                raise NotPlainError
            if {page.get(_DEFINITION_ENCODING), page.get(_REPETITION_ENCODING)} != {_RLE}:
                raise NotPlainError
            data = self._buffer.slice(body, header[_COMPRESSED_SIZE])
            if _CRC in header and zlib.crc32(data) != header[_CRC] & 0xFFFFFFFF:
                raise ValueError("a page does not agree with its checksum")
            if codec is not None:
                data = codec.decompress(data, decompressed_size=header[_UNCOMPRESSED_SIZE])
            yield self._numbers(memoryview(data).cast("B"), page[_N_VALUES])
            self._values += page[_N_VALUES]
            self._position = body + header[_COMPRESSED_SIZE]

    def _numbers(self, data: memoryview, count: int) -> np.ndarray:
        """Return the numbers behind the levels of a page, after a check that the levels are those of equal lists."""
        position, levels = 0, []
        for _ in range(2):
            size = int.from_bytes(data[position : position + 4], "little")
            levels.append(bytes(data[position + 4 : position + 4 + size]))
            position += 4 + size
        if count <= 0 or len(data) - position != count * self._dtype.itemsize:
            raise NotPlainError
        pattern = (self._values % self._width, count, *levels)
        if pattern not in self._patterns:
            is_first = (np.arange(count) + self._values) % self._width == 0
            if np.any(decode_levels(levels[0], 1, count, self._width) != ~is_first):
                raise NotPlainError
            if np.any(decode_levels(levels[1], self._level.bit_length(), count, self._width) != self._level):
                raise NotPlainError
            if len(self._patterns) >= MAX_PATTERNS:
                self._patterns.clear()
            self._patterns.add(pattern)
        return np.frombuffer(data, dtype=self._dtype, count=count, offset=position)

    def _read_header(self) -> tuple[dict[int, Any], int]:
        """Return the header of the page at the current position, and the byte where its body begins."""
        data = memoryview(self._buffer).cast("B")[self._position : min(self._position + 2**16, self._end)]
        try:
            header, size = read_struct(data, 0)
            n_values = header.get(_DATA_HEADER, {_N_VALUES: 0})[_N_VALUES]
            sizes = (header[_UNCOMPRESSED_SIZE], header[_COMPRESSED_SIZE], n_values)
            valid = min(sizes) >= 0 and self._position + size + header[_COMPRESSED_SIZE] <= self._end
        except (IndexError, KeyError, TypeError):
            raise NotPlainError from None
        if not valid:
            raise NotPlainError
        return header, self._position + size


def decode_levels(data: bytes, bit_width: int, count: int, period: int = 1) -> np.ndarray:
    """Return `count` levels of `bit_width` (1 to 8) bits from runs that repeat a value or pack eight of them.

    Runs that encode `period` levels, or a multiple of it, often come again and again. Their copies are not decoded.

    >>> decode_levels(bytes([6 << 1, 1, 1 << 1 | 1, 0b00000101]), 1, 9).tolist()
    [1, 1, 1, 1, 1, 1, 1, 0, 1]
    """
    runs: list[np.ndarray] = []
    position, n_decoded = 0, 0
    begin, n_before, n_runs = 0, 0, 0  # where the current period begins
    try:
        while n_decoded < count:
            header, position = read_varint(data, position)
            size = header >> 1
            if header & 1:
                packed = np.frombuffer(data, dtype=np.uint8, count=size * bit_width, offset=position)
                unpacked = np.unpackbits(packed, bitorder="little").reshape(-1, bit_width)
                run = (unpacked << np.arange(bit_width, dtype=np.uint8)).sum(axis=1, dtype=np.uint8)
                position += size * bit_width
            else:
                run = np.full(min(size, count - n_decoded), data[position], dtype=np.uint8)
                position += 1
            if not len(run):
                raise NotPlainError
            runs.append(run)
            n_decoded += len(run)
            if n_decoded < count and (n_decoded - n_before) % period == 0:
                encoded, levels = data[begin:position], np.concatenate(runs[n_runs:])
                while n_decoded + len(levels) <= count and data.startswith(encoded, position):
                    runs.append(levels)
                    position, n_decoded = position + len(encoded), n_decoded + len(levels)
                    encoded, levels = encoded + encoded, np.concatenate([levels, levels])
                begin, n_before, n_runs = position, n_decoded, len(runs)
    except (IndexError, ValueError):
        raise NotPlainError from None
    return np.concatenate(runs)[:count]


def read_struct(data: memoryview, position: int, depth: int = 0) -> tuple[dict[int, Any], int]:
    """Return a structure of Thrift's compact protocol as {field: value}, and the position behind it.

    Values of types that no used field has are skipped.
    """
    fields: dict[int, Any] = {}
    number = 0
    while data[position]:
        type_code, delta = data[position] & 15, data[position] >> 4
        position += 1
        if delta:
            number += delta
        else:
            encoded, position = read_varint(data, position)
            number = _zigzag(encoded)
        fields[number], position = _read_value(data, position, type_code, depth)
    return fields, position + 1


def _read_value(data: memoryview, position: int, type_code: int, depth: int) -> tuple[Any, int]:
    if type_code in (1, 2):  # true, false
        return type_code == 1, position
    if type_code == 3:  # byte
        return data[position], position + 1
    if type_code in (4, 5, 6):  # i16, i32, i64
        encoded, position = read_varint(data, position)
        return _zigzag(encoded), position
    if type_code == 7:  # double
        return None, position + 8
    if type_code == 8:  # binary
        size, position = read_varint(data, position)
        return None, position + size
    if type_code == 12 and depth < 4:  # structure
        return read_struct(data, position, depth + 1)
    raise KeyError(type_code)  # page headers have no lists or maps


def read_varint(data: bytes | memoryview, position: int) -> tuple[int, int]:
    """Return a number of up to 64 bits in groups of seven, and the position behind it."""
    value = 0
    for shift in range(0, 64, 7):
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise IndexError(position)


def _zigzag(encoded: int) -> int:
    return (encoded >> 1) ^ -(encoded & 1)

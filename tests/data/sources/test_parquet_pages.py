"""Lists in Parquet and Arrow: plain pages against pyarrow, checksums, nulls and unequal lengths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import formats
from isthmus import InputError
from isthmus.data.sources import _parquet_pages, open_source


@pytest.fixture
def rows(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(43, 6)).astype(np.float32)


def nulls(rows: np.ndarray, list_kind: str, *, inside: bool) -> pa.Table:
    values = [list(map(float, row)) for row in rows]
    for number in (3, 17, 30):
        if inside:
            values[number][2] = None  # type: ignore[call-overload]
        else:
            values[number] = None  # type: ignore[call-overload]
    list_types = {
        "fixed": pa.list_(pa.float32(), 6),
        "variable": pa.list_(pa.float32()),
        "large": pa.large_list(pa.float32()),
    }
    return pa.table({"embedding": pa.array(values, type=list_types[list_kind])})


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("list_kind", ["fixed", "variable", "large"])
@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_read_of_nulls_gives_nan_in_their_rows(
    suffix: str, list_kind: str, inside: bool, rows: np.ndarray, tmp_path: Path
) -> None:
    table, path = nulls(rows, list_kind, inside=inside), tmp_path / f"a.{suffix}"
    if suffix == "parquet":
        pq.write_table(table, path, row_group_size=20)
    else:
        with pa.ipc.new_file(str(path), table.schema) as out:
            out.write_table(table, max_chunksize=20)
    source = open_source(path)
    expected = rows.copy()
    expected[[3, 17, 30], slice(2, 3) if inside else slice(None)] = np.nan
    np.testing.assert_array_equal(source.read(0, 43), expected)
    np.testing.assert_array_equal(source.read(25, 40), expected[25:40])
    np.testing.assert_array_equal(source.take(np.array([30, 4, 3])), expected[[30, 4, 3]])


def test_lists_of_another_length_are_rows_of_nan(rows: np.ndarray, tmp_path: Path) -> None:
    values = [list(map(float, row)) for row in rows]
    values[21] = values[21][:4]
    pq.write_table(pa.table({"e": pa.array(values, type=pa.list_(pa.float32()))}), tmp_path / "a.parquet")
    source = open_source(tmp_path / "a.parquet")
    expected = rows.copy()
    expected[21] = np.nan
    np.testing.assert_array_equal(source.read(0, 43), expected)
    assert source.ragged is not None
    assert source.ragged.numbers.tolist() == [21]


@pytest.mark.parametrize("list_kind", ["fixed", "variable", "large", "required"])
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd", "gzip", "lz4", "brotli"])
@pytest.mark.parametrize("dictionary", [False, True])
def test_read_of_plain_pages_agrees_with_pyarrow(
    list_kind: str,
    compression: str,
    dictionary: bool,
    rows: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pages begin in the middle of rows, and dictionaries overflow into plain pages."""
    from isthmus.data.sources import _parquet_pages

    rows = np.random.default_rng(0).normal(size=(3000, 7)).astype(np.float32)
    table = formats.table(rows, "fixed" if list_kind == "required" else list_kind)
    if list_kind == "required":
        inner = pa.list_(pa.field("item", pa.float32(), nullable=False), 7)
        lists = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), type=inner)
        table = pa.table([lists], schema=pa.schema([pa.field("embedding", inner, nullable=False)]))
    options: dict[str, Any] = {"row_group_size": 1300, "data_page_size": 4000, "write_batch_size": 64}
    options |= {"compression": compression, "use_dictionary": dictionary, "dictionary_pagesize_limit": 2000}
    pq.write_table(table, tmp_path / "a.parquet", write_page_checksum=dictionary, **options)
    plain, blocks = [], _parquet_pages.ColumnChunk.blocks
    monkeypatch.setattr(
        _parquet_pages.ColumnChunk, "blocks", lambda self, size: (plain.append(len(b)) or b for b in blocks(self, size))
    )
    source = open_source(tmp_path / "a.parquet")
    for start, stop in ((0, 3000), (0, 700), (700, 1400), (1400, 2100), (2999, 3000), (5, 6)):
        np.testing.assert_array_equal(source.read(start, stop), rows[start:stop])
    np.testing.assert_array_equal(source.take(np.array([2999, 4, 1299, 1300])), rows[[2999, 4, 1299, 1300]])
    assert sum(plain) > 2000


@pytest.mark.parametrize(
    "options", [{"data_page_version": "2.0"}, {"use_byte_stream_split": ["embedding"], "use_dictionary": ["caption"]}]
)
def test_read_of_other_pages_agrees_with_pyarrow(options: dict[str, Any], rows: np.ndarray, tmp_path: Path) -> None:
    pq.write_table(formats.table(rows), tmp_path / "a.parquet", row_group_size=20, **options)  # type: ignore[arg-type]
    np.testing.assert_array_equal(open_source(tmp_path / "a.parquet").read(0, 99), rows)


@pytest.mark.parametrize("lengths", [(6, 5, 7, 6, 6), (6, 12, 0, 6, 6), (6, 7, 5, 6, 6)])
def test_unequal_lists_with_the_right_total_are_not_moved_into_other_rows(
    lengths: tuple[int, ...], tmp_path: Path
) -> None:
    values = [[float(i)] * n for i, n in enumerate(lengths)]
    table = pa.table({"e": pa.array(values * 300, type=pa.list_(pa.float32()))})
    for name, options in {"plain": {"use_dictionary": False}, "dictionary": {}}.items():
        pq.write_table(table, tmp_path / f"{name}.parquet", **options)
        read = open_source(tmp_path / f"{name}.parquet").read(0, 1500)
        expected = np.tile([[i] * 6 if n == 6 else [np.nan] * 6 for i, n in enumerate(lengths)], (300, 1))
        np.testing.assert_array_equal(read, expected)


@pytest.mark.parametrize("compression", ["none", "snappy"])
@pytest.mark.parametrize("group", [0, 1])
def test_read_of_a_page_with_a_flipped_bit_is_refused(
    group: int, compression: str, rows: np.ndarray, tmp_path: Path
) -> None:
    """pyarrow verifies the first row, which gives the width. The second row group reaches the direct reader alone."""
    options: dict[str, Any] = {"compression": compression, "use_dictionary": False, "write_page_checksum": True}
    rows = np.tile(rows, (4, 1))
    pq.write_table(formats.table(rows).select(["embedding"]), tmp_path / "a.parquet", row_group_size=86, **options)
    column = pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(group).column(0)
    intact = (tmp_path / "a.parquet").read_bytes()
    end = column.data_page_offset + column.total_compressed_size
    for position in (end - 1, end - 100, end - 500):
        data = bytearray(intact)
        data[position] ^= 1
        (tmp_path / "a.parquet").write_bytes(data)
        with pytest.raises(InputError, match=r"is not a complete parquet file \(.*(checksum|CRC)"):
            open_source(tmp_path / "a.parquet").read(0, 999)
    (tmp_path / "a.parquet").write_bytes(intact)
    np.testing.assert_array_equal(open_source(tmp_path / "a.parquet").read(0, 999), rows)


def test_read_of_a_page_with_a_flipped_bit_and_no_checksum_is_silent(rows: np.ndarray, tmp_path: Path) -> None:
    """The pages of the test above are read as they lie: only the checksum tells that a number has changed."""
    options: dict[str, Any] = {"compression": "none", "use_dictionary": False, "write_page_checksum": False}
    pq.write_table(formats.table(rows), tmp_path / "a.parquet", row_group_size=20, **options)
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    data[data.index(rows[30].tobytes()) + 3] ^= 1
    (tmp_path / "a.parquet").write_bytes(data)
    assert not np.array_equal(open_source(tmp_path / "a.parquet").read(0, 99), rows)


def test_read_of_a_dictionary_page_with_a_flipped_bit_is_refused(tmp_path: Path) -> None:
    """pyarrow decodes the pages of a dictionary, and is asked to verify their checksums."""
    rows = np.repeat(np.arange(12, dtype=np.float32).reshape(2, 6), 100, axis=0)
    pq.write_table(
        formats.table(rows).select(["embedding"]),
        tmp_path / "a.parquet",
        row_group_size=100,
        compression="none",
        use_dictionary=True,
        write_page_checksum=True,
    )
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    column = pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(1).column(0)
    data[data.index(np.float32(11).tobytes(), column.dictionary_page_offset, column.data_page_offset) + 1] ^= 1
    (tmp_path / "a.parquet").write_bytes(data)
    with pytest.raises(InputError, match=r"is not a complete parquet file \(.*CRC"):
        open_source(tmp_path / "a.parquet").read(100, 200)


def encoded_run(level: int, size: int) -> bytes:
    """Return a run of up to 8,191 equal levels as it is stored."""
    header = size << 1
    return bytes([header, level] if header < 128 else [header & 127 | 128, header >> 7, level])


@pytest.mark.parametrize("width", [9, 32, 1000])
def test_levels_of_equal_lists_are_decoded_for_a_few_lists(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    read_varint = _parquet_pages.read_varint
    monkeypatch.setattr(
        _parquet_pages, "read_varint", lambda data, position: decoded.append(position) or read_varint(data, position)
    )
    n_lists = 5000
    data = (bytes([1 << 1 | 1, 0b11111110]) + encoded_run(1, width - 8)) * n_lists
    levels = _parquet_pages.decode_levels(data, 1, n_lists * width, width)
    np.testing.assert_array_equal(levels, np.arange(n_lists * width) % width != 0)
    assert len(decoded) < 200


@pytest.mark.parametrize("period", [1, 3, 12])
def test_levels_of_runs_that_come_again_agree_with_the_runs(period: int, rng: np.random.Generator) -> None:
    for _ in range(200):
        runs = [(int(level), int(size)) for level, size in rng.integers(1, 4, size=(12, 2))]
        order = np.repeat(rng.integers(0, 4, size=20), rng.integers(1, 9, size=20))
        sequence = [run for number in order for run in runs[3 * number : 3 * number + 3]]
        expected = np.concatenate([np.full(size, level) for level, size in sequence])
        count = int(rng.integers(1, len(expected) + 1))
        data = b"".join(encoded_run(*run) for run in sequence)
        np.testing.assert_array_equal(_parquet_pages.decode_levels(data, 2, count, period), expected[:count])

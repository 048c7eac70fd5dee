"""Tables with several columns of embeddings, read and written batch by batch in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.data.sources import csv, jsonl, parquet
from isthmus.data.sources._arrow_lists import is_list
from isthmus.data.sources._table_rewriter import list_type_like, update_hf_metadata
from isthmus.data.sources.arrow import ArrowTable

#: Suffixes of tables that are read, and of those that are written.
READ_SUFFIXES = (
    *parquet.Parquet.suffixes, *csv.Csv.suffixes, *jsonl.Jsonl.suffixes, ".arrow", ".feather", ".ipc", ".arrows"
)  # fmt: skip
WRITTEN_SUFFIXES = (*parquet.Parquet.suffixes, ".arrow", ".feather", ".csv", ".tsv")
#: Rows of a batch.
BATCH_ROWS = 8192


@contextmanager
def table_batches(path: Path, /) -> Iterator[Iterator[Any]]:
    """Open a table as batches of all its columns.

    Parameters
    ----------
    path : Path
        File whose suffix is one of `READ_SUFFIXES`.

    Yields
    ------
    iterator of pyarrow.RecordBatch
        The rows, in order.
    """
    suffix = path.suffix.lower()
    if suffix in parquet.Parquet.suffixes:
        yield parquet.open_file(path).iter_batches(BATCH_ROWS, use_threads=False)
    elif suffix in csv.Csv.suffixes:
        with csv.open_batches(path) as reader:
            yield iter(reader)
    elif suffix in jsonl.Jsonl.suffixes:
        yield jsonl.common_batches(path)
    else:
        table = ArrowTable(path)
        count, get_batch = table.batches(list(table.schema.names))
        yield (
            batch.slice(start, BATCH_ROWS)
            for batch in map(get_batch, range(count))
            for start in range(0, batch.num_rows, BATCH_ROWS)
        )


class TableWriter:
    """Writer of batches with new embeddings in place of the old ones.

    Parameters
    ----------
    path : Path
        File to write.
    suffix : str
        One of `WRITTEN_SUFFIXES`, which names the format.
    schema : pyarrow.Schema
        Schema of the table that is read.
    shapes : mapping of str to (dtype, width)
        New embeddings by their column.
    """

    def __init__(self, path: Path, suffix: str, schema: Any, shapes: Mapping[str, tuple[np.dtype, int]]):
        import pyarrow as pa

        self.is_text = suffix in (".csv", ".tsv")
        for column, (dtype, width) in shapes.items():
            index, value_type = schema.get_field_index(column), pa.from_numpy_dtype(dtype)
            old_type = schema.field(index).type
            new_type = list_type_like(old_type, value_type, width) if is_list(old_type) else pa.list_(value_type)
            schema = schema.set(index, schema.field(index).with_type(pa.string() if self.is_text else new_type))
            schema = schema if self.is_text else update_hf_metadata(schema, column, dtype, width)
        self.schema: pa.Schema = schema
        if self.is_text:
            from pyarrow.csv import CSVWriter, WriteOptions

            options = WriteOptions(delimiter="\t" if suffix == ".tsv" else ",")
            self._writer: Any = CSVWriter(str(path), schema, write_options=options)
        elif suffix in parquet.Parquet.suffixes:
            import pyarrow.parquet as pq

            # Floats hardly repeat, so a dictionary of them would only cost time.
            repeating = [name for name in schema.names if name not in shapes]
            self._writer = pq.ParquetWriter(path, schema, use_dictionary=repeating)
        else:
            self._writer = pa.ipc.new_file(str(path), schema)

    def write(self, batch: Any, embeddings: Mapping[str, np.ndarray]) -> None:
        """Append a batch.

        Parameters
        ----------
        batch : pyarrow.RecordBatch
            Rows of the table that is read.
        embeddings : mapping of str to array (m, k)
            New embeddings by their column.
        """
        import pyarrow as pa

        columns = [
            self._cells(embeddings[field.name], field.type) if field.name in embeddings else batch.column(field.name)
            for field in self.schema
        ]
        self._writer.write_table(pa.table(columns, schema=self.schema))

    def _cells(self, rows: np.ndarray, cell_type: Any) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        values = pa.array(np.ascontiguousarray(rows).reshape(-1))
        if not self.is_text:
            return pa.FixedSizeListArray.from_arrays(values, rows.shape[1]).cast(cell_type)
        offsets = pa.array(np.arange(len(rows) + 1, dtype=np.int32) * rows.shape[1])
        joined = pc.binary_join(pa.ListArray.from_arrays(offsets, pc.cast(values, pa.string())), ", ")
        return pc.binary_join_element_wise("[", joined, "]", "")

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()

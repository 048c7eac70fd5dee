"""Tables of the real vector stores, for the tests of stores and for `benchmarks/stores.py`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def lists(rows: np.ndarray) -> Any:
    """Return rows as an Arrow array of fixed-size lists."""
    import pyarrow as pa

    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(rows).ravel()), rows.shape[1])


def lancedb(folder: Path, ids: np.ndarray, columns: Mapping[str, np.ndarray], modality: np.ndarray) -> str:
    """Make another table of LanceDB in the folder and return its address."""
    import lancedb
    import pyarrow as pa

    database = lancedb.connect(folder)
    name = f"items{len(database.list_tables().tables)}"
    vectors = {column: lists(rows) for column, rows in columns.items()}
    database.create_table(name, pa.table({"id": ids, "modality": modality.tolist(), **vectors}))
    return f"lancedb://{folder}/{name}"

"""Ray Data and Spark with `Moments.of`, `+` and `transform`, where they are installed."""

from __future__ import annotations

import pickle
import shutil
import sys
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isthmus import Moments
from isthmus.align import Centering


@pytest.fixture
def pairs(rng: np.random.Generator, tmp_path: Path) -> tuple[np.ndarray, np.ndarray, Path]:
    """Rows of both modalities, and a folder of two parquet files with them in columns of lists."""
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    x, y = (rng.normal(size=(2, 400, 8)) + 1).astype(np.float32)
    folder = tmp_path / "pairs"
    folder.mkdir()
    for number, half in enumerate((slice(0, 200), slice(200, 400))):
        table = pa.table({"image": x[half].tolist(), "text": y[half].tolist()})
        pq.write_table(table, folder / f"{number}.parquet")
    return x, y, folder


def agree(moments: Moments, x: np.ndarray, y: np.ndarray) -> None:
    expected = Moments.of(x, y, matmul_dtype="float64")
    assert moments.n == expected.n
    np.testing.assert_allclose(moments.xy, expected.xy, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(moments.sum_x, expected.sum_x, rtol=1e-12)


@pytest.mark.filterwarnings("ignore")  # of the engine's own making
def test_moments_with_ray_data_equal_one_process(pairs: Any) -> None:
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.data")
    x, y, folder = pairs

    def part_moments(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        moments = Moments.of(
            np.stack(batch["image"]).astype(np.float64),
            np.stack(batch["text"]).astype(np.float64),
            matmul_dtype="float64",
        )
        return {"moments": np.array([pickle.dumps(moments)], dtype=object)}

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        dataset = ray.data.read_parquet(str(folder))
        moments = reduce(add, (pickle.loads(row["moments"]) for row in dataset.map_batches(part_moments).iter_rows()))
        agree(moments, x, y)
        aligner = Centering().fit_moments(moments)
        rows = dataset.map_batches(lambda batch: {"image": aligner.transform_x(np.stack(batch["image"]))})
        aligned = np.stack([row["image"] for row in rows.iter_rows()])
    finally:
        ray.shutdown()
    expected = aligner.transform_x(x)
    np.testing.assert_allclose(np.sort(aligned, axis=0), np.sort(expected, axis=0), atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_moments_with_spark_equal_one_process(pairs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sql = pytest.importorskip("pyspark.sql")
    if shutil.which("java") is None:
        pytest.skip("Spark needs a Java runtime")
    x, y, folder = pairs
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)  # its workers need the same packages

    def part_moments(rows: Any) -> Any:
        rows = list(rows)
        if rows:
            arrays = (np.array([getattr(row, name) for row in rows]) for name in ("image", "text"))
            yield Moments.of(*arrays, matmul_dtype="float64")

    spark = sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    try:
        table = spark.read.parquet(str(folder))
        moments = table.rdd.mapPartitions(part_moments).treeReduce(add)
        agree(moments, x, y)
        aligner = Centering().fit_moments(moments)
        rows = table.rdd.mapPartitions(lambda some: [aligner.transform_x(np.array([row.image for row in some]))])
        aligned = np.concatenate([part for part in rows.collect() if len(part)])
    finally:
        spark.stop()
    expected = aligner.transform_x(x.astype(np.float64))
    np.testing.assert_allclose(np.sort(aligned, axis=0), np.sort(expected, axis=0), atol=1e-6)

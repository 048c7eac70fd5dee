"""A cluster of two local workers gives the result of one process, also if a worker dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from command_line import isthmus_
from isthmus import InputError, Moments
from isthmus.align import Centering, PartialWhitening

pytest.importorskip("distributed")
from isthmus.align.streaming import apply
from isthmus.compute.cluster import Cluster
from isthmus.utils.errors import MissingDependencyError

NUMBERS = ("n", "sum_x", "sum_y", "xx", "yy", "xy", "cos_sq", "cos_x", "cos_y")
#: Rows are few here: small blocks make many parts.
SMALL = {"max_memory": "600 KB"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster(workers=2)
    yield cluster
    cluster.close()


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(60_000, 24)).astype(np.float32)
    for number, modality in enumerate(("image", "text")):
        rows = latent + rng.normal(size=latent.shape).astype(np.float32) + 2 * np.eye(24, dtype=np.float32)[number]
        np.save(folder / f"{modality}.npy", rows)
    return str(folder / "image.npy"), str(folder / "text.npy")


def agree(a: Any, b: Any, names: tuple[str, ...] = NUMBERS) -> None:
    for name in names:
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-12, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("matmul_dtype", ["float32", "float64"])
def test_moments_on_a_cluster_equal_those_of_one_process(cluster: Cluster, paths: Any, matmul_dtype: str) -> None:
    with isthmus.config_context(**SMALL):  # type: ignore[arg-type]
        alone = Moments.of(isthmus.open_pairs(*paths), matmul_dtype=matmul_dtype)
        with isthmus.config_context(cluster=cluster):
            result = Moments.of(isthmus.open_pairs(*paths), matmul_dtype=matmul_dtype)
    assert result.n == 60_000
    assert result.matmul_dtype == matmul_dtype
    agree(result, alone)
    scale = np.abs(alone.xy).max()
    assert np.abs(result.xy - alone.xy).max() <= 1e-12 * scale


def test_moments_with_several_rows_per_item_equal_those_of_one_process(
    cluster: Cluster, paths: Any, tmp_path: Path
) -> None:
    index = np.random.default_rng(1).integers(0, 5_000, size=60_000)
    np.save(tmp_path / "image.npy", np.load(paths[0])[:5_000])
    pairs = isthmus.open_pairs(tmp_path / "image.npy", paths[1], index=index)
    with isthmus.config_context(max_memory="2 MB"):
        alone = Moments.of(pairs)
        with isthmus.config_context(cluster=cluster):
            result = Moments.of(pairs)
    agree(result, alone)
    agree(
        result.item_moments, alone.item_moments, ("n_items", "count_sq", "count_x", "count_cos", "xx", "xy", "cos_sq")
    )


def test_moments_of_repeated_rows_on_a_cluster_equal_those_of_one_process(cluster: Cluster, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    texts = rng.normal(size=(60, 8))
    owner = np.repeat(np.arange(60), 3)
    images = texts[owner] + rng.normal(size=(180, 8))
    paths = [tmp_path / "image.npy", tmp_path / "text.npy"]
    for path, rows in zip(paths, (images, texts[owner]), strict=True):
        np.save(path, rows)
    alone = Moments.of(isthmus.open_pairs(*paths))
    with isthmus.config_context(cluster=cluster):
        together = Moments.of(isthmus.open_pairs(*paths))
    assert alone.by_item.n_items == 60
    assert together.n_distinct == alone.n_distinct == (180, 60)
    agree(alone.by_item, together.by_item, ("xx", "count_y"))


def test_part_result_is_as_large_as_the_moments(cluster: Cluster, paths: Any) -> None:
    """Parts and steps of the tree return results as large as the moments, not as the rows."""
    from distributed.protocol import serialize_bytes

    from isthmus.statistics.moments import _moments_part

    pairs = isthmus.open_pairs(*paths)
    assert pairs.open_spec is not None
    assert len(serialize_bytes(pairs.open_spec)) < 2_000
    moments = _moments_part(pairs.open_spec, 0, 16_384, rows=16_384, matmul_dtype="float32", normalize=True)
    assert len(serialize_bytes(moments)) < 3 * 24 * 24 * 8 + 6 * 24 * 8 + 4_000


def test_tree_reduce_with_a_killed_worker_gives_the_same_sum(paths: Any) -> None:
    counts: list[int] = []

    with Cluster(workers=2) as cluster, isthmus.config_context(**SMALL):  # type: ignore[arg-type]
        victim = next(iter(cluster.client.run(os.getpid).values()))

        def kill(completed: int, total: int, name: str) -> None:
            counts.append(completed)
            if completed == 3:
                assert completed < total
                os.kill(victim, signal.SIGKILL)

        cluster.progress = kill
        result = Moments.of(isthmus.open_pairs(*paths))
        survivors = set(cluster.client.run(os.getpid).values())
        assert victim not in survivors
    with isthmus.config_context(**SMALL):  # type: ignore[arg-type]
        agree(result, Moments.of(isthmus.open_pairs(*paths)))
    assert counts[:3] == [1, 2, 3]


def test_open_cached_repeats_no_warning(paths: Any) -> None:
    from isthmus.data.worker_pairs import open_cached

    keys = np.arange(60_000), np.arange(10, 60_010)
    with pytest.warns(isthmus.utils.errors.IsthmusWarning):
        pairs = isthmus.open_pairs(*paths, key=keys)
    assert pairs.open_spec is not None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert open_cached(pairs.open_spec).n_pairs == pairs.n_pairs


def test_measure_fit_and_apply_on_a_cluster_equal_one_process(
    cluster: Cluster, paths: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = isthmus.metrics.registry()
    names = [n for n in registry if registry[n].requires == "moments"][:8] + [
        n for n in registry if "neighbour" in n or "hub" in n or "mixing" in n
    ]
    monkeypatch.setattr("isthmus.metrics._context.MAX_ROW_ITEMS", 1_500)
    alone = isthmus.measure(isthmus.open_pairs(*paths), metrics=names)
    names_of_work: list[str] = []
    with isthmus.config_context(cluster=cluster):
        cluster.progress = lambda completed, total, name: names_of_work.append(name)
        result = isthmus.measure(isthmus.open_pairs(*paths), metrics=names)
        fitted = PartialWhitening().fit(isthmus.open_pairs(*paths))
    cluster.progress = None
    assert {"moments", "neighbours"} <= set(names_of_work)
    for name, estimate in alone.items():
        np.testing.assert_allclose(result[name].value, estimate.value, rtol=1e-11, atol=1e-12, err_msg=name)
    expected = PartialWhitening().fit(isthmus.open_pairs(*paths))
    rows = np.load(paths[0])
    np.testing.assert_allclose(fitted.transform_x(rows), expected.transform_x(rows), atol=1e-6)
    with isthmus.config_context(cluster=cluster):
        shape = apply(expected, isthmus.sources.open_source(paths[0]), tmp_path / "aligned.npy", modality="image")
    assert shape == expected.transform_x(rows).shape
    np.testing.assert_allclose(np.load(tmp_path / "aligned.npy"), expected.transform_x(rows), atol=1e-6)
    assert [p.name for p in tmp_path.iterdir()] == ["aligned.npy"]


def test_compare_on_a_cluster_equals_one_process(cluster: Cluster, tmp_path: Path) -> None:
    paths = isthmus.demo.export(tmp_path, "plain")
    by_name = {Path(p).stem: p for p in paths}
    files = [by_name[name] for name in by_name if "image" in name][:1] + [by_name[n] for n in by_name if "text" in n][
        :1
    ]
    options: Any = {"aligners": ["Centering"], "tasks": ["retrieval"], "splits": 2}
    alone = isthmus.compare(isthmus.open_pairs(*files, names=("image", "text")), **options)
    calls: list[tuple[int, int, str]] = []
    with isthmus.config_context(cluster=cluster):
        cluster.progress = lambda *call: calls.append(call)
        result = isthmus.compare(isthmus.open_pairs(*files, names=("image", "text")), **options)
    cluster.progress = None
    assert [call for call in calls if call[2] == "splits"][-1] == (2, 2, "splits")  # one call may report both
    assert result.to_dict()["rows"] == alone.to_dict()["rows"]


def test_moments_with_an_invalid_row_name_the_row(cluster: Cluster, paths: Any, tmp_path: Path) -> None:
    rows = np.load(paths[1])
    rows[41_000] = np.inf
    np.save(tmp_path / "text.npy", rows)
    pairs = isthmus.open_pairs(paths[0], tmp_path / "text.npy")
    with (
        isthmus.config_context(**SMALL, cluster=cluster),  # type: ignore[arg-type]
        pytest.raises(InputError, match=r"text.npy: row 41000 \(counted from 0\) holds"),
    ):
        Moments.of(pairs)


def test_cluster_with_unusable_arguments_raises(
    cluster: Cluster, paths: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="give the address of a Dask scheduler"):
        Cluster()
    with isthmus.config_context(cluster=cluster):  # arrays in memory stay here
        assert Moments.of(np.eye(4), np.eye(4)).n == 4
    fitted = Centering().fit(np.eye(24), np.eye(24)[::-1])
    source = isthmus.sources.open_source(paths[0])
    with isthmus.config_context(cluster=cluster), pytest.raises(InputError, match="a cluster writes .npy files"):
        apply(fitted, source, tmp_path / "out.safetensors", modality="x")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingDependencyError, match=r"a cluster needs Dask: pip install 'isthmus\[dask\]'"):
        Cluster(workers=1)


def test_command_line_with_workers_equals_one_process(paths: Any, tmp_path: Path) -> None:
    words = ["fit", "Centering", *paths, "-o"]
    command = [sys.executable, "-m", "isthmus", *words, str(tmp_path / "0.safetensors"), "--workers", "2"]
    completed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Fitted Centering to 60,000 pairs of image and text" in completed.stdout
    stages = [line.rpartition(":")[0] for line in completed.stderr.splitlines()]
    assert stages == ["isthmus: reading rows", "isthmus: solving Centering"]
    options = ["--threads", "1", "--max-memory", "50 MB"]
    assert isthmus_(*words, tmp_path / "1.safetensors", *options).returncode == 0
    on_workers, alone = (isthmus.load(tmp_path / f"{n}.safetensors") for n in (0, 1))
    np.testing.assert_allclose(on_workers.bias_x, alone.bias_x, rtol=1e-12)


def test_bank_searched_on_a_cluster_gives_the_rows_of_one_process(cluster: Cluster, paths: Any, tmp_path: Path) -> None:
    pairs = isthmus.open_pairs(*paths)
    alone = isthmus.align.ScoreCalibration(bank_size=100).fit(pairs)
    with isthmus.config_context(cluster=cluster):
        correction = isthmus.align.ScoreCalibration(bank_size=100).fit(pairs)
        apply(correction, pairs.y, tmp_path / "stored.npy", modality="text", role="stored", queries="image")
    rows = np.load(tmp_path / "stored.npy")
    assert rows.shape == (60_000, 24 + 1 + 2)
    expected = alone.stored(pairs.y.read(0, 500), modality="text", queries="image")
    np.testing.assert_allclose(rows[:500], expected, atol=1e-5)

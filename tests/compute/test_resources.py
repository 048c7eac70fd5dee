"""Threads, memory and devices of a computation, which do not change its results."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import InputError, Moments, Pairs
from isthmus.compute.resources import (
    PASS_BLOCK_FACTOR,
    Resources,
    block_rows,
    config_context,
    current,
    pass_bytes,
    plan_pass,
)
from isthmus.metrics._neighbours import Neighbours
from isthmus.tasks import MixedSearch, TwoSidedSearch, modality_preference
from isthmus.tasks.ranks import matching_ranks

NUMBERS = ("n", "sum_x", "sum_y", "xx", "yy", "xy", "cos_sq", "cos_x", "cos_y")


def agree(a: Any, b: Any, tolerance: float) -> None:
    for name in NUMBERS:
        scale = float(np.max(np.abs(getattr(b, name)))) or 1.0
        np.testing.assert_allclose(
            np.asarray(getattr(a, name)) / scale, np.asarray(getattr(b, name)) / scale, atol=tolerance, err_msg=name
        )


@pytest.fixture
def large(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    x, y = rng.normal(size=(2, 40_000, 12)) + 0.5
    return x, y


def test_moments_with_other_threads_and_memory_are_equal(large: Any) -> None:
    expected = Moments.of(*large, threads=1)
    assert large[0].shape[0] > 2 * block_rows(12)  # several blocks for each worker
    for options in ({"threads": 3}, {"max_memory": "2 MB"}, {"threads": 2, "max_memory": 3_000_000}):
        agree(Moments.of(*large, **options), expected, 1e-14)  # type: ignore[arg-type]


def test_moments_with_the_same_threads_are_identical(large: Any) -> None:
    first, second = (Moments.of(*large, threads=3) for _ in range(2))
    assert np.array_equal(first.xy, second.xy)
    assert np.array_equal(first.sum_x, second.sum_x)


def test_moments_with_several_rows_per_item_on_several_threads_are_equal(large: Any, rng: np.random.Generator) -> None:
    x, y = large
    index = rng.integers(0, 10_000, size=len(y))
    expected, threaded = (Moments.of(x[:10_000], y, index=index, threads=t, max_memory="8 MB") for t in (1, 3))
    agree(threaded, expected, 1e-13)
    assert threaded.item_moments is not None
    assert expected.item_moments is not None
    np.testing.assert_allclose(threaded.item_moments.xy, expected.item_moments.xy, rtol=1e-11, atol=1e-9)


def test_moments_restore_the_threads_of_blas(large: Any) -> None:
    from isthmus.compute.threads import blas_threads

    before = blas_threads()
    Moments.of(*large, threads=2)
    assert blas_threads() == before


def test_moments_with_an_invalid_row_in_any_worker_name_the_row(large: Any) -> None:
    x, y = (rows.copy() for rows in large)
    y[39_000] = np.nan
    for options in ({"threads": 3}, {"device": "cpu"}):
        with pytest.raises(InputError, match=r"y: row 39000 \(counted from 0\)"):
            Moments.of(x, y, **options)  # type: ignore[arg-type]


def test_plan_pass_with_less_memory_has_smaller_blocks() -> None:
    free = plan_pass(Resources(threads=4), 768, 768, items=10**6, itemsize=4)
    assert (free.n_workers, free.blas_threads) == (4, 1)
    assert 0.95 * PASS_BLOCK_FACTOR * block_rows(768) < free.rows <= PASS_BLOCK_FACTOR * block_rows(768)
    two_thousand_dim = plan_pass(Resources(threads=4), 2048, 2048, items=9 * 2048, itemsize=4)
    assert -(-9 * 2048 // two_thousand_dim.rows) % 4 == 0  # every worker has as many blocks
    tight = plan_pass(Resources(threads=4, max_memory=70_000_000), 768, 768, items=10**6, itemsize=4)
    assert tight.rows < free.rows
    assert tight.n_workers * (tight.blas_threads or 0) == 4
    assert pass_bytes(tight.rows, tight.n_workers, 768, 768, 4) <= 70_000_000
    few = plan_pass(Resources(threads=4), 768, 768, items=10, itemsize=8)
    assert (few.n_workers, few.blas_threads) == (1, 1)


def test_resources_from_text_are_parsed_and_validated() -> None:
    assert Resources.of(max_memory="1.5 GB").max_memory == 1_500_000_000
    assert Resources.of(max_memory="200MiB").max_memory == 200_000_000
    with config_context(threads=2):
        with config_context(max_memory=10**9):
            assert (current().threads, current().max_memory) == (2, 10**9)
        assert current().max_memory is None
    assert current() == Resources()
    with pytest.raises(InputError, match="threads=0, expected a whole number of 1 or more"):
        Resources.of(threads=0)
    with pytest.raises(InputError, match="max_memory='much', expected bytes or a size such as '400 MB'"):
        Resources.of(max_memory="much")
    with pytest.raises(
        InputError, match=r"max_memory=1 MB is too little for rows of width 768: the smallest pass .* MB"
    ):
        Moments.of(*np.ones((2, 300, 768)), max_memory="1 MB")


MEASURED = """
import sys, threading
import numpy as np, isthmus
from pathlib import Path
from isthmus import Moments
def held():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
pairs = isthmus.open_pairs(sys.argv[1], sys.argv[2])
small = isthmus.Pairs(image=np.eye(4), text=np.eye(4))
Moments.of(small, threads=2)  # loads the libraries
def watch():
    global peak
    while not stop.wait(0.001):
        peak = max(peak, held())
for options in ({"max_memory": sys.argv[3]}, {}):
    before, peak, stop = held(), 0, threading.Event()
    thread = threading.Thread(target=watch); thread.start()
    Moments.of(pairs, matmul_dtype="float32", threads=2, **options)
    stop.set(); thread.join()
    print((peak - before) * 1024)
"""


def added(paths: list[str], limit: str) -> list[int]:
    """Bytes of anonymous memory that a pass with a limit, and then one without, add to a process of their own."""
    process = subprocess.run(
        [sys.executable, "-c", MEASURED, *paths, limit], capture_output=True, text=True, check=True
    )
    return [int(line) for line in process.stdout.split()]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_pass_keeps_max_memory(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{name}.npy") for name in ("image", "text")]
    for path in paths:
        out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(12_000, 512))
        out[:] = np.random.default_rng(0).standard_normal((1, 512), dtype=np.float32)
    limited, free = added(paths, "24 MB")
    assert limited < 24_000_000 < free


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_pass_over_compressed_rows_keeps_max_memory(tmp_path: Path, rng: np.random.Generator) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    paths = [str(tmp_path / f"{name}.parquet") for name in ("image", "text")]
    for path, dtype in zip(paths, ("f4", "f8"), strict=True):
        rows = rng.standard_normal((14_000, 512)).astype(dtype)
        column = pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), 512)
        pq.write_table(pa.table({"embedding": column}), path, compression="zstd", row_group_size=4_000)
    limited, free = added(paths, "60 MB")
    assert limited < 60_000_000 < free


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 1e-5)])
def test_moments_on_a_device_agree_with_numpy(large: Any, dtype: Any, tolerance: float) -> None:
    pytest.importorskip("torch")
    x, y = (rows.astype(dtype) for rows in large)
    matmul_dtype = np.dtype(dtype).name
    expected = Moments.of(x, y, matmul_dtype=matmul_dtype)
    for device in ("cpu", ["cpu", "cpu"]):
        result = Moments.of(x, y, matmul_dtype=matmul_dtype, device=device)
        assert isinstance(result.xx, np.ndarray)
        assert result.xx.dtype == np.float64
        agree(result, expected, tolerance)


def test_moments_of_grouped_and_non_numpy_rows_with_a_device_agree(large: Any, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    x, y = large
    index = rng.integers(0, 500, size=len(y))
    agree(Moments.of(x[:500], y, index=index, device="cpu"), Moments.of(x[:500], y, index=index), 1e-13)
    there = Moments.of(torch.from_numpy(x), torch.from_numpy(y), device="cpu", threads=2)
    assert isinstance(there.xx, torch.Tensor)
    agree(there.numpy(), Moments.of(x, y), 1e-13)


def test_ranks_and_neighbours_on_a_device_agree_with_numpy(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr("isthmus.compute.torch_kernels.DEVICE_BLOCK_SCORES", 700 * 90)  # several blocks
    x = rng.normal(size=(700, 16))
    y = np.concatenate([x, x]) + rng.normal(size=(1400, 16))
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x, y))
    owner = rng.permutation(np.arange(1400) % 700)
    expected = matching_ranks(x, y, owner), Neighbours.of(x, y[:700], k=5)
    with config_context(device="cpu"):
        result = matching_ranks(x, y, owner), Neighbours.of(x, y[:700], k=5)
    for a, b in zip(result[0], expected[0], strict=True):
        assert np.array_equal(a, b)
    for name in ("rank_x", "rank_y", "before_x", "before_y"):
        assert np.array_equal(getattr(result[1], name), getattr(expected[1], name)), name
    for name in ("xx", "xy", "yx", "yy"):
        assert np.array_equal(getattr(result[1], name).index, getattr(expected[1], name).index), name


@pytest.mark.parametrize("captions", [1, 3])
def test_mixed_search_on_a_device_agrees_with_numpy(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, captions: int
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr("isthmus.compute.torch_kernels.DEVICE_BLOCK_SCORES", 300 * 90)  # several blocks
    x = rng.normal(size=(300, 16))
    owner = rng.integers(0, 290, 300 * captions) if captions > 1 else np.arange(300)  # some items have no row of y
    y = x[owner] + rng.normal(size=(len(owner), 16))
    y[5] = y[6]  # ties
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x, y))
    expected = MixedSearch.of(x, y, index=owner)
    classes = np.arange(300) % 7
    two_sided = TwoSidedSearch.of(x, y, index=owner, labels=classes)
    preference = modality_preference({"x": x, "y": y})
    with config_context(device="cpu"):
        result = MixedSearch.of(x, y, index=owner)
        np.testing.assert_array_equal(TwoSidedSearch.of(x, y, index=owner, labels=classes).x_ndcg, two_sided.x_ndcg)
        np.testing.assert_array_equal(modality_preference({"x": x, "y": y}).shares, preference.shares)
    for field in ("ranks", "ndcg", "same_modality", "restricted", "exchanged"):
        for name in (f"x_{field}", f"y_{field}"):
            np.testing.assert_array_equal(getattr(result, name), getattr(expected, name), err_msg=name)


def test_measures_and_maps_on_a_device_agree_with_numpy(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from isthmus.align.streaming import apply

    pairs = isthmus.demo.load("plain")
    names = ["centroid_angle", "mixing_rate", "image_to_text_R@1"]
    names = [name for name in names if name in isthmus.metrics.registry()] or None
    expected = isthmus.measure(pairs, metrics=names)
    source = isthmus.sources.Source(np.asarray(pairs.x.read(0, pairs.n_items)), address="image")
    aligner = isthmus.align.Centering().fit(pairs)
    apply(aligner, source, tmp_path / "plain.npy", modality="x")
    with config_context(device="cpu"):
        result = isthmus.measure(Pairs(image=pairs.x, text=pairs.y), metrics=names)
        apply(aligner, source, tmp_path / "device.npy", modality="x")
    for name, estimate in expected.items():
        np.testing.assert_allclose(result[name].value, estimate.value, rtol=1e-5, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(np.load(tmp_path / "device.npy"), np.load(tmp_path / "plain.npy"), atol=1e-6)


def test_validate_device_without_the_device_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"device 'cuda' was requested, but PyTorch .* sees no CUDA device"):
        Resources.of(device="cuda")
    with pytest.raises(InputError, match="unknown device 'gpu'"):
        Resources.of(device="gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert Resources.of(device="cuda").devices == ("cuda",)
    with pytest.raises(InputError, match="device 'cuda:3' was requested, but there are 1 CUDA devices"):
        Resources.of(device="cuda:0,cuda:3")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=r"device 'cuda' needs PyTorch: pip install 'isthmus\[torch\]'"):
        Resources.of(device="cuda")


def test_copier_reuses_a_buffer_after_its_copy_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a simulated CUDA device, a pinned buffer is filled again only after its copy has completed.

    The computation waits for the copy.
    """
    from contextlib import nullcontext
    from types import SimpleNamespace

    from isthmus.compute import devices

    log: list[str] = []

    class Rows:
        """Page-locked rows."""

        def __init__(self, array: np.ndarray):
            self.array, self.shape = array, array.shape

        def __getitem__(self, key: slice) -> Rows:
            return Rows(self.array[key])

        def numpy(self) -> np.ndarray:
            log.append("fill")
            return self.array

        def to(self, device: Any, non_blocking: bool) -> Any:
            assert non_blocking
            log.append("copy")
            return SimpleNamespace(array=self.array.copy(), record_stream=lambda stream: log.append("hold"))

    def empty(shape: Any, dtype: Any, pin_memory: bool = False) -> Rows:
        if shape:
            assert pin_memory
        return Rows(np.empty(shape or (0,), dtype=np.float32))

    event = SimpleNamespace(synchronize=lambda: log.append("synchronize"))
    copying = SimpleNamespace(record_event=lambda: event)
    computing = SimpleNamespace(wait_event=lambda e: log.append("wait"))
    cuda = SimpleNamespace(
        Stream=lambda device: copying, stream=lambda stream: nullcontext(), current_stream=lambda device: computing
    )
    fake = SimpleNamespace(device=lambda name: SimpleNamespace(type="cuda"), float32=np.float32, empty=empty, cuda=cuda)
    monkeypatch.setattr(devices, "_torch", lambda device: fake)
    load = devices.HostToDeviceCopier("cuda", "float32")
    blocks = [np.full((4, 2), number, dtype=">f8") for number in range(3)]
    on_device = [load(block) for block in blocks]
    assert [float(t.array[0, 0]) for t in on_device] == [0.0, 1.0, 2.0]
    events = ["fill", "copy", "wait", "hold"]
    assert log == [*events, *events, "synchronize", *events]


PRECISION = """
import torch
from isthmus.compute.devices import full_precision
newer = lambda: torch.backends.cuda.matmul.fp32_precision
torch.set_float32_matmul_precision("high")
with full_precision():
    assert (torch.get_float32_matmul_precision(), newer()) == ("highest", "ieee")
assert (torch.get_float32_matmul_precision(), newer()) == ("high", "tf32")
torch.set_float32_matmul_precision("highest")
torch.backends.cuda.matmul.fp32_precision = "tf32"  # from here PyTorch refuses to answer the older question
with full_precision():
    assert newer() == "ieee"
assert newer() == "tf32"
"""


def test_full_precision_restores_the_switches() -> None:
    torch = pytest.importorskip("torch")
    if not hasattr(torch.backends.cuda.matmul, "fp32_precision"):
        pytest.skip("this PyTorch has only the older switch")
    process = subprocess.run([sys.executable, "-c", PRECISION], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr


def test_moments_of_rows_beyond_float32_on_a_device_raise(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    x, y = rng.normal(size=(2, 100, 8)).astype(np.float32)
    x[3] *= 1e-25
    expected = Moments.of(x, y, matmul_dtype="float64")
    agree(Moments.of(x, y, matmul_dtype="float32"), expected, 1e-5)
    agree(Moments.of(x, y, matmul_dtype="float64", device="cpu"), expected, 1e-13)
    message = "x or y: the squares of some rows leave the range .*; multiply all rows by one factor"
    with pytest.raises(InputError, match=message):
        Moments.of(x, y, matmul_dtype="float32", device="cpu")
    with pytest.raises(InputError, match=message):
        Moments.of(torch.from_numpy(x), torch.from_numpy(y), matmul_dtype="float32")

"""Two processes with half of the pairs each see the loss and the gradients of one with all of them."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
if not hasattr(os, "fork"):
    pytest.skip("there is no fork", allow_module_level=True)

from isthmus import train  # noqa: E402

_spec = importlib.util.spec_from_file_location("worker", Path(__file__).with_name("worker.py"))
worker = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(worker)

CASES = [
    "InfoNCE()",
    "InfoNCE(reduction='sum', block=5)",
    "Sigmoid()",
    "Sigmoid(bias='relative', block=5)",
    "TruePairAlignment()",
    "Uniformity()",
    "CrossUniformity()",
    "CentroidUniformity()",
    "CUA()",
    "CUAXU()",
    "IntraModalitySeparation()",
    "CyclicConsistency()",
    "CyclicConsistency(reduction='mean')",
    "CauchySchwarz(width=0.3)",
    "GeodesicMixing()",
    "VarianceCovariance()",
    "SharedSpaceAlignment(every=1, decay=0.8, k=2, warmup=2, estimator='cross_covariance')",
    "SharedSpaceAlignment(every=2, estimator='cca', k=3)",
    "SharedSpaceAlignment(every=1, base=Sigmoid())",
    "SharedSpaceAlignment(every=1, estimator='joint_pca', alone=True)",
    "InfoNCE() + 0.5 * CauchySchwarz() + 0.1 * VarianceCovariance()",
    "AtTemperature(InfoNCE(), FixedTemperature(0.25))",
]


@pytest.fixture(scope="module")
def batches() -> list[Any]:
    """Return unit rows of two modalities for four steps of a monitor."""
    rng = np.random.default_rng(7)
    latent = rng.normal(size=(4, 1, 60, 8)) + 0.4 * rng.normal(size=(4, 2, 60, 8))
    rows = torch.tensor(latent + 4 * np.eye(8)[:2, None])
    return [tuple(sides) for sides in torch.nn.functional.normalize(rows, dim=-1)]


@pytest.fixture(scope="module")
def folder(batches: list[Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the files of two processes."""
    folder = tmp_path_factory.mktemp("processes")
    torch.save(batches, folder / "rows.pt")
    process = subprocess.Popen(
        [sys.executable, worker.__file__, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    try:
        output, _ = process.communicate("\n".join(CASES), timeout=600)
        assert process.returncode == 0, output
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return folder


@pytest.fixture(scope="module")
def runs(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    seen = {name: dict(np.load(folder / f"{rank}.npz")) for rank, name in enumerate(("first", "second"))}
    return seen | {"alone": run_here()}


def run_here() -> dict[str, np.ndarray]:
    """Return what one process sees that has all pairs."""
    seen = {}
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the encoders vary in few directions
        for case in CASES:
            seen |= {f"{case}|{name}": value for name, value in worker.run(case, 0, 1, own=False).items()}
    return seen


@pytest.mark.parametrize("case", CASES)
def test_loss_in_two_processes_equals_one_process(case: str, runs: dict[str, dict[str, np.ndarray]]) -> None:
    alone = {name: value for name, value in runs["alone"].items() if name.startswith(f"{case}|")}
    assert len(alone) >= 3 * 5
    for name, value in alone.items():
        for part in ("first", "second"):
            other, expected = runs[part][name], value
            if name.endswith("basis"):  # where directions are equally good their basis is arbitrary, the space is not
                other, expected = other @ other.T, value @ value.T
            np.testing.assert_allclose(other, expected, rtol=1e-9, atol=1e-11, err_msg=f"{part} {name}")
    if "Shared" in case:
        assert runs["alone"][f"{case}|buffer basis"].shape[1] >= 2


def test_loss_gradients_are_not_zero(runs: dict[str, dict[str, np.ndarray]]) -> None:
    for case in CASES:
        assert np.abs(runs["alone"][f"{case}|2 gradient of image.weight"]).max() > 1e-6, case


def test_loss_without_gather_uses_pairs_of_each_process(runs: dict[str, dict[str, np.ndarray]]) -> None:
    one, two = (float(runs[part]["own|loss"]) for part in ("first", "second"))
    together = float(runs["alone"]["InfoNCE()|0 loss"])
    assert abs(one - two) > 1e-3
    # Half as many negatives make a smaller loss.
    assert max(one, two) < together


def test_monitor_in_two_processes_equals_one_process(batches: list[Any], folder: Path) -> None:
    expected = worker.watch(batches, 0, 1)
    assert len(expected) == 2
    for rank in (0, 1):
        found = json.loads((folder / f"{rank}.json").read_text())
        for one, two in zip(expected, found, strict=True):
            assert one == pytest.approx(two, abs=1e-9)


def test_registry_losses_all_have_a_case() -> None:
    assert {case.split("(")[0] for case in CASES} >= set(train.registry())

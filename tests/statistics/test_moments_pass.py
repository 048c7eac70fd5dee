"""Precision of the block products, and what the plan of a pass is told about the data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from isthmus import Pairs, config_context
from isthmus.statistics import moments_pass
from isthmus.statistics.moments_pass import gemm_dtype, plan_moments


def pairs_of(n: int, dtype_x: str = "f4", dtype_y: str = "f4", index: Any = None) -> Pairs:
    return Pairs(image=np.ones((n, 2), dtype=dtype_x), text=np.ones((n, 2), dtype=dtype_y), index=index)


def test_gemm_dtype_of_float32_is_float64_for_up_to_50000_pairs() -> None:
    assert gemm_dtype(pairs_of(50_000), None) == "float64"
    assert gemm_dtype(pairs_of(50_001), None) == "float32"
    assert gemm_dtype(pairs_of(50_001, "f2", "f2"), None) == "float32"


@pytest.mark.parametrize("dtypes", [("f8", "f4"), ("f4", ">f8")])
def test_gemm_dtype_of_float64_in_one_modality_is_float64(dtypes: tuple[str, str]) -> None:
    assert gemm_dtype(pairs_of(50_001, *dtypes), None) == "float64"


def test_gemm_dtype_is_the_requested_one() -> None:
    assert gemm_dtype(pairs_of(10), "float32") == "float32"
    assert gemm_dtype(pairs_of(50_001), "float64") == "float64"


def planned(monkeypatch: pytest.MonkeyPatch, pairs: Pairs, dtype: str) -> dict[str, Any]:
    """Return the options that `plan_moments` gives to `plan_pass`."""
    calls: list[dict[str, Any]] = []

    def record(resources: Any, dim_x: int, dim_y: int, **options: Any) -> Any:
        calls.append({"resources": resources, "dims": (dim_x, dim_y), **options})

    monkeypatch.setattr(moments_pass, "plan_pass", record)
    plan_moments(pairs, dtype)
    return calls[0]


def test_plan_moments_counts_bytes_rows_and_items(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned(monkeypatch, pairs_of(40, "f4", "f8"), "float32")
    assert (plan["itemsize"], plan["itemsize_on_disk"], plan["items"]) == (4, 8, 40)
    assert (plan["rows_per_item"], plan["decompressed"], plan["dims"]) == (1.0, False, (2, 2))
    plan = planned(monkeypatch, pairs_of(40), "float64")
    assert (plan["itemsize"], plan["itemsize_on_disk"]) == (8, 4)


def test_plan_moments_of_several_rows_per_item_counts_their_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = Pairs(image=np.ones((10, 2)), text=np.ones((25, 2)), index=np.arange(25) % 10)
    assert planned(monkeypatch, pairs, "float64")["rows_per_item"] == 2.5
    pairs = Pairs(image=np.ones((10, 2)), text=np.ones((5, 2)), index=np.arange(5))
    assert planned(monkeypatch, pairs, "float64")["rows_per_item"] == 1.0  # never below one


def test_plan_moments_of_non_numpy_rows_uses_one_thread_and_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    rows = torch.ones((40, 2))
    with config_context(threads=3, device="cpu"):
        resources = planned(monkeypatch, Pairs(image=rows, text=rows), "float32")["resources"]
        assert (resources.threads, resources.devices) == (1, ())
        # Rows of two libraries are brought together as NumPy arrays.
        resources = planned(monkeypatch, Pairs(image=rows.numpy(), text=rows), "float32")["resources"]
        assert (resources.threads, resources.devices) == (3, ("cpu",))
        resources = planned(monkeypatch, pairs_of(40), "float32")["resources"]
        assert (resources.threads, resources.devices) == (3, ("cpu",))

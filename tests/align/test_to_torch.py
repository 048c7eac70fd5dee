"""The torch module of an aligner."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import InputError, IsthmusWarning, align

torch = pytest.importorskip("torch")


#: Aligners that map rows. A score correction has no transform.
ROW_MAPS = [name for name, cls in align.registry().items() if not issubclass(cls, align.ScoreCorrection)]


@pytest.mark.parametrize("name", sorted(set(align.registry()) - set(ROW_MAPS)))
def test_score_correction_has_no_module(name: str) -> None:
    run = isthmus.demo.arrays("collapsed")
    with pytest.raises(InputError, match="corrects scores and not rows"):
        align.get(name)().fit(run.image, run.text).to_torch()


@pytest.mark.parametrize("name", ROW_MAPS)
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_module_output_equals_transform(name: str, dtype: str) -> None:
    run = isthmus.demo.arrays("collapsed")
    x, y = run.image[:900].astype(np.float64), run.text[:900].astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IsthmusWarning)
        options = {"constraint": "rows"} if name == "Auto" else {}  # without it a score correction is chosen
        aligner = align.get(name)(**options).fit(x, y)
        heads = aligner.to_torch()
    assert not list(heads.parameters())
    rows = [torch.from_numpy(side).to(getattr(torch, dtype)) for side in (x, y)]
    for a, b in zip(heads(*rows), aligner.transform(*rows), strict=True):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)


def test_module_has_gradients_and_a_state(tmp_path: Any) -> None:
    pairs = isthmus.demo.load("plain")
    heads = align.KernelBlend().fit(pairs).to_torch()
    rows = torch.randn(5, 64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    heads.x(rows).sum().backward()
    assert rows.grad is not None
    assert torch.isfinite(rows.grad).all()
    state = heads.state_dict()
    assert {key.split("_")[0] for key in state} == {"x.matrix", "x.bias", "y.matrix", "y.bias"}
    other = align.KernelBlend(weight=0.9).fit(pairs).to_torch()
    other.load_state_dict(state)
    assert torch.equal(other.y(rows), heads.y(rows))
    with pytest.raises(InputError, match="not fitted"):
        align.Centering().to_torch()


def test_matrix_and_bias_equal_transform() -> None:
    run = isthmus.demo.arrays("plain")
    x = run.image.astype(np.float64)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    for aligner in (align.Identity(), align.Centering(), align.DimensionRemoval(), align.Procrustes(center=False)):
        aligner.set_params(normalize=True)
        fitted = aligner.fit(run.image, run.text)
        mapped = x @ fitted.matrix_x + fitted.bias_x
        np.testing.assert_allclose(
            mapped / np.linalg.norm(mapped, axis=1, keepdims=True), fitted.transform_x(x), atol=1e-12
        )
    np.testing.assert_array_equal(align.Identity().fit(x, x).matrix_y, np.eye(64))

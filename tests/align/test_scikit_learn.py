"""Aligners beside scikit-learn: one side as a transformer, and both sides as an estimator of two matrices."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import InputError, align

pandas = pytest.importorskip("pandas")
pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    x, y = np.random.default_rng(0).normal(size=(2, 120, 6)) + 0.5
    return x, x + 0.3 * y


@pytest.fixture
def side(rows: tuple[np.ndarray, np.ndarray]) -> Any:
    return align.RidgeCCA().fit(image=rows[0], text=rows[1]).side("text")


def test_transform_of_one_array_says_what_is_missing(rows: tuple[np.ndarray, np.ndarray]) -> None:
    aligner = align.Centering().fit(image=rows[0], text=rows[1])
    expected = "expected those of image and text; give transform(X, Y), or use side('image').transform(X)"
    with pytest.raises(InputError, match=re.escape(expected)):
        aligner.transform(rows[0])


def test_fit_transform_of_both_sides_equals_fit_and_transform(rows: tuple[np.ndarray, np.ndarray]) -> None:
    separate = align.PartialWhitening().fit(*rows).transform(*rows)
    np.testing.assert_array_equal(align.PartialWhitening().fit_transform(*rows), separate)
    pairs = isthmus.Pairs(image=rows[0], text=rows[1])
    np.testing.assert_array_equal(align.PartialWhitening().fit_transform(pairs), separate)
    with pytest.raises(InputError, match="corrects scores and not rows"):
        align.ScoreCalibration().fit_transform(*rows)


def test_side_maps_the_rows_of_its_modality(rows: tuple[np.ndarray, np.ndarray], side: Any) -> None:
    x, y = side.aligner.transform(*rows)
    np.testing.assert_array_equal(side.transform(rows[1]), y)
    np.testing.assert_array_equal(side.aligner.side("x").fit_transform(rows[0]), x)
    assert side.n_features_in_ == side.aligner.n_features_in_ == 6


def test_side_of_what_has_no_map_is_refused(rows: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(InputError, match="corrects scores and not rows"):
        align.ScoreCalibration().fit(*rows).side("x")
    with pytest.raises(InputError, match=re.escape("known: x, y (fit(image=X, text=Y) gives them names)")):
        align.Centering().fit(*rows).side("image")
    with pytest.raises(InputError, match="is not fitted"):
        align.Centering().side("x")


def test_side_in_a_pipeline_keeps_its_map_in_every_fold(rows: tuple[np.ndarray, np.ndarray], side: Any) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, cross_val_score
    from sklearn.pipeline import make_pipeline

    labels = rows[1][:, 0] > 0.5
    pipeline = make_pipeline(side, LogisticRegression())
    assert cross_val_score(pipeline, rows[1], labels, cv=3).mean() > 0.9
    search = GridSearchCV(pipeline, {"logisticregression__C": [0.1, 1.0]}, cv=3).fit(rows[1], labels)
    np.testing.assert_array_equal(search.best_estimator_[0].transform(rows[1]), side.transform(rows[1]))


def test_side_with_set_output_keeps_the_index_and_names_columns(rows: tuple[np.ndarray, np.ndarray], side: Any) -> None:
    frame = pandas.DataFrame(rows[1], columns=list("abcdef"), index=range(10, 130))
    mapped = side.set_output(transform="pandas").fit(frame).transform(frame)
    assert list(mapped.columns) == [f"text{k}" for k in range(mapped.shape[1])]
    assert list(mapped.columns) == list(side.get_feature_names_out())
    assert list(mapped.index) == list(range(10, 130))
    assert list(side.feature_names_in_) == list("abcdef")
    with pytest.raises(ValueError, match="feature names should match"):
        side.transform(frame.rename(columns={"a": "z"}))


def test_side_clones_and_states_its_parameters(side: Any) -> None:
    from sklearn.base import clone

    cloned = clone(side)
    assert cloned is not side
    assert cloned.aligner is side.aligner
    assert side.get_params() == {"aligner": side.aligner, "modality": "text"}
    assert side.set_params(modality="image").modality == "image"
    with pytest.raises(ValueError, match="Invalid parameter 'alpha'"):
        side.set_params(alpha=1)


def test_side_of_wrong_width_or_invalid_rows_is_refused(rows: tuple[np.ndarray, np.ndarray], side: Any) -> None:
    for call in (side.fit, side.fit_transform):
        with pytest.raises(InputError, match="got rows with 3 features, expected 6 for text"):
            call(rows[1][:, :3])
    with pytest.raises(InputError, match="got rows of shape"):
        side.transform(rows[1][:, :3])
    with pytest.raises(InputError, match="got rows with 2 features, expected 6"):
        side.get_feature_names_out(["a", "b"])
    invalid = rows[1].copy()
    invalid[3, 0] = np.nan
    with pytest.raises(InputError, match=r"row 3 \(counted from 0\) holds NaN"):
        side.transform(invalid)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_side_keeps_the_dtype_and_treats_rows_alone_alike(
    rows: tuple[np.ndarray, np.ndarray], side: Any, dtype: str
) -> None:
    typed = rows[1].astype(dtype)
    before = typed.copy()
    mapped = side.transform(typed)
    assert mapped.dtype == dtype
    np.testing.assert_array_equal(typed, before)
    np.testing.assert_allclose(side.transform(typed[::-1])[::-1], mapped, atol=1e-6)
    np.testing.assert_allclose(side.transform(typed[5:6]), mapped[5:6], atol=1e-6)


def test_side_of_a_loaded_aligner_maps_as_before(
    rows: tuple[np.ndarray, np.ndarray], side: Any, tmp_path: Path
) -> None:
    side.aligner.save(tmp_path / "aligner.safetensors")
    loaded = isthmus.load(tmp_path / "aligner.safetensors").side("text")
    np.testing.assert_array_equal(loaded.transform(rows[1]), side.transform(rows[1]))


def test_side_of_torch_rows_stays_in_torch(rows: tuple[np.ndarray, np.ndarray], side: Any) -> None:
    torch = pytest.importorskip("torch")
    mapped = side.fit(torch.tensor(rows[1])).transform(torch.tensor(rows[1]))
    assert isinstance(mapped, torch.Tensor)
    np.testing.assert_allclose(mapped.numpy(), side.transform(rows[1]), atol=1e-12)

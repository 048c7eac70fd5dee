"""Fits to pairs, to unpaired rows and to both in turn, and the names that a fit keeps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from isthmus import InputError, Pairs, align
from isthmus.align import Affine, ScoreCorrection
from isthmus.align._state import FittedState

#: Aligners of rows of any length. Corrections of scores need unit rows, and `Auto` chooses another aligner.
RAW_ROW_ALIGNERS = [
    name for name, aligner in align.registry().items() if name != "Auto" and not issubclass(aligner, ScoreCorrection)
]


def test_fit_keeps_the_names_of_both_modalities_in_their_order(cones: Any) -> None:
    aligner = align.Centering().fit(Pairs(image=cones[0], text=cones[1]))
    assert aligner.names_ == ("image", "text")
    assert align.Centering().fit(*cones, names=("a", "b")).names_ == ("a", "b")
    assert align.Centering().fit(*cones).names_ is None


def test_partial_fit_without_pairs_adds_rows_of_one_modality_at_a_time(cones: Any) -> None:
    x, y = cones
    aligner = align.Centering(normalize=False)
    aligner.partial_fit(x[:50], paired=False).partial_fit(None, y, paired=False).partial_fit(x[50:], paired=False)
    np.testing.assert_allclose(aligner.bias_x, -x.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(aligner.bias_y, -y.mean(axis=0), atol=1e-12)
    # `fit` forgets the earlier rows.
    aligner.fit(x[:60], y[:40], paired=False)
    np.testing.assert_allclose(aligner.bias_x, -x[:60].mean(axis=0), atol=1e-12)


def test_partial_fit_without_pairs_after_a_fit_to_pairs_is_refused(cones: Any) -> None:
    x, y = cones
    aligner = align.Centering().fit(x, y)
    with pytest.raises(InputError, match="this Centering was fitted to pairs and cannot add unpaired rows"):
        aligner.partial_fit(x, paired=False)
    assert aligner.fit(x, y[:40], paired=False).partial_fit(None, y, paired=False).moments_ is not None


@pytest.mark.parametrize("name", [name for name in align.registry() if name != "Identity"])
def test_constructor_takes_options_by_name_only(name: str) -> None:
    with pytest.raises(TypeError, match="positional argument"):
        align.get(name)(True)


@pytest.mark.parametrize("name", align.registry())
def test_aligners_with_equal_options_are_different_objects(name: str) -> None:
    a, b = align.get(name)(), align.get(name)()
    assert a != b
    assert len({a, b}) == 2


@pytest.mark.parametrize("name", RAW_ROW_ALIGNERS)
@pytest.mark.filterwarnings("ignore::isthmus.IsthmusWarning")
def test_aligner_uses_means_if_a_shift_of_all_rows_changes_nothing(name: str, rng: np.random.Generator) -> None:
    shared = rng.normal(size=(300, 12)) * np.repeat([1.0, 0.05], [4, 8])
    x, y = shared + 0.02 * rng.normal(size=(2, 300, 12)) + np.eye(12)[:2, None]
    offset = np.full(12, 0.01)
    aligner = align.get(name)(normalize=False)
    mapped = aligner.fit(x, y).transform_x(x)
    shifted = aligner.fit(x + offset, y + offset).transform_x(x + offset)
    is_invariant = shifted.shape == mapped.shape and np.abs(shifted - mapped).max() < 1e-8
    assert bool(is_invariant) == aligner.uses_means


def test_statistics_of_a_state_without_them_are_refused(cones: Any) -> None:
    aligner = align.Centering().fit(*cones)
    aligner.fitted_state = replace(aligner.fitted_state, statistics=None)
    with pytest.raises(InputError, match="this Centering was saved without statistics of its rows"):
        _ = aligner.statistics_
    assert aligner.fitted_state.statistics is None


def test_score_calibration_uses_pairs_before_it_is_solved_and_after_a_copy_of_its_state(cones: Any) -> None:
    fitted, copied = align.ScoreCalibration().fit(*cones), align.ScoreCalibration()
    assert fitted.uses_pairs
    copied.fitted_state = fitted.fitted_state
    assert copied.uses_pairs
    assert not align.ScoreCalibration().fit(*cones, paired=False).uses_pairs


def test_partial_fit_of_a_bank_adds_rows_of_one_modality_at_a_time(cones: Any) -> None:
    x, y = cones
    in_steps = align.CSLS().partial_fit(x, paired=False).partial_fit(None, y, paired=False)
    at_once = align.CSLS().fit(x, y, paired=False)
    scores = [a.scores(x[:5], y[:7], query="x", stored="y") for a in (in_steps, at_once)]
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-12)


def test_fitted_state_without_further_options_uses_no_pairs() -> None:
    assert FittedState(Affine(), Affine(), (2, 2)).uses_pairs is False


@pytest.mark.parametrize("name", [name for name, cls in align.registry().items() if issubclass(cls, ScoreCorrection)])
def test_score_correction_before_a_fit_uses_no_pairs(name: str) -> None:
    assert align.get(name)().uses_pairs is False


def test_score_calibration_of_rows_of_y_in_another_order_is_the_same(rng: np.random.Generator) -> None:
    latent = rng.normal(size=(200, 6))
    x, y = latent + 0.5 * rng.normal(size=(2, 200, 6))
    order = rng.permutation(200)
    gains = [
        align.ScoreCalibration().fit(x, rows, index=index).fit_info_["gain"]["y"]
        for rows, index in ((y, None), (y[order], order))
    ]
    np.testing.assert_allclose(gains[0], gains[1], rtol=1e-6)

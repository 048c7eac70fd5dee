"""Aligners that judge themselves: the held-out change of recall, its warning, and when it is left out."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus.align import HyperplaneRotation, RecallWarning, SharedSpaceProjection
from isthmus.utils.errors import InputError


def pairs_of(n: int = 400, *, private: float = 1.0) -> isthmus.Pairs:
    """Return pairs with four shared directions, whose other matching directions a projection removes."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(n, 4))
    detail = private * rng.normal(size=(n, 8))
    x = np.hstack([shared, detail, np.zeros((n, 8)), np.full((n, 1), 2.0)])
    y = np.hstack([shared, np.zeros((n, 8)), detail, np.full((n, 1), -2.0)])
    return isthmus.Pairs(image=x + 0.3 * rng.normal(size=x.shape), text=y + 0.3 * rng.normal(size=y.shape))


def recall(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    scores, items = x @ y.T, np.arange(len(x))
    return ((scores.argmax(axis=1) == items).astype(float) + (scores.argmax(axis=0) == items)) / 2


def test_fit_warns_of_the_change_of_held_out_recall(clip_coco: isthmus.Pairs) -> None:
    aligner = HyperplaneRotation()
    with pytest.warns(RecallWarning, match=r"changes the R@1 of held-out pairs by -\d+\.\d points") as caught:
        aligner.fit(clip_coco)
    assert all(len(str(warning.message)) <= 300 for warning in caught)
    judged = aligner.fit_info_["held_out_recall"]
    assert judged["items"] == 500
    fit, test = clip_coco.split_half(rng=0)
    by_hand = HyperplaneRotation(judge=False).fit(fit)
    change = recall(*by_hand.transform(*test.unit())) - recall(*test.unit())
    assert judged["change"] == pytest.approx(change.mean(), abs=1e-9)
    assert judged["error"] == pytest.approx(change.std(ddof=1) / np.sqrt(len(change)), abs=1e-9)
    assert judged["change"] < -0.2


def test_fit_that_keeps_recall_does_not_warn(tmp_path: Path) -> None:
    pairs = pairs_of(private=0.01)
    aligner = SharedSpaceProjection().fit(pairs)
    judged = aligner.fit_info_["held_out_recall"]
    assert judged["change"] >= -judged["error"]
    aligner.save(tmp_path / "aligner.safetensors")
    loaded = isthmus.load(tmp_path / "aligner.safetensors")
    assert loaded.fit_info_["held_out_recall"] == judged
    assert loaded.transform(*pairs.unit())[0].shape == (400, aligner.fit_info_["k"])


def test_judge_false_skips_the_check(clip_coco: isthmus.Pairs) -> None:
    aligner = HyperplaneRotation(judge=False).fit(clip_coco)
    assert "held_out_recall" not in aligner.fit_info_


@pytest.mark.parametrize("how", ["moments", "blocks", "unpaired"])
def test_recall_is_not_checked_without_pairs_of_rows_at_once(how: str) -> None:
    pairs = pairs_of(private=0.01)
    x, y = pairs.unit()
    aligner = SharedSpaceProjection()
    if how == "moments":
        aligner.fit_moments(isthmus.Moments.of(pairs))
    elif how == "blocks":
        aligner.partial_fit(x[:200], y[:200]).partial_fit(x[200:], y[200:])
    else:
        aligner.fit(x, y[::-1], paired=False)
    with pytest.warns(RecallWarning, match="recall of SharedSpaceProjection was not checked.*isthmus compare"):
        _ = aligner.map_x_
    assert "held_out_recall" not in aligner.fit_info_


def test_recall_is_not_checked_if_half_of_the_pairs_has_no_solution(clip_coco: isthmus.Pairs) -> None:
    with (
        pytest.warns(RecallWarning, match="was not checked"),
        pytest.warns(isthmus.IsthmusWarning, match="too little to search in: use estimator='significant'"),
    ):
        _ = SharedSpaceProjection(estimator="published").fit(clip_coco).map_x_


def test_a_later_fit_replaces_the_judgement() -> None:
    pairs = pairs_of(private=0.01)
    aligner = SharedSpaceProjection().fit(pairs)
    with pytest.warns(RecallWarning, match="was not checked"):
        _ = aligner.fit_moments(isthmus.Moments.of(pairs)).map_x_


def test_rows_by_name_with_several_rows_of_y_are_judged(clip_coco: isthmus.Pairs) -> None:
    x, y = clip_coco.unit()
    with (
        pytest.warns(isthmus.IsthmusWarning, match="number 2 of the items do not match"),  # texts of other images
        pytest.warns(RecallWarning, match="half of 250 items fitted"),
    ):
        HyperplaneRotation().fit(image=x[:250], text=y, index=np.arange(500) % 250)
    with pytest.warns(RecallWarning, match="half of 500 items fitted"):
        HyperplaneRotation().fit(image=x, text=y)


def test_few_items_are_not_judged() -> None:
    aligner = HyperplaneRotation(energy=0.9).fit(pairs_of(39))
    assert "held_out_recall" not in aligner.fit_info_


def test_comparison_and_auto_do_not_repeat_the_warning() -> None:
    pairs = pairs_of()
    with warnings.catch_warnings():
        warnings.simplefilter("error", RecallWarning)
        table = isthmus.compare(pairs, aligners=["HyperplaneRotation", "SharedSpaceProjection"], splits=1)
        isthmus.align.Auto(aim="retrieval", folds=2, repeats=1).fit(pairs)
    assert not any("recall" in note for row in table.rows for note in row.notes)


def test_published_projection_that_does_not_apply_offers_sound(clip_coco: isthmus.Pairs) -> None:
    half, _ = clip_coco.split_half(rng=0)
    message = r"^no shared space: .*, so estimator='published' does not apply; use estimator='significant'"
    with pytest.raises(InputError, match=message) as error:
        _ = SharedSpaceProjection(estimator="published").fit(half).map_x_
    assert len(str(error.value)) <= 300

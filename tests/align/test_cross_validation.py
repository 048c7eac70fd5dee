"""The held-out scores of `Auto` on items with several rows of y, and without any."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from isthmus import Pairs, config_context
from isthmus.align import Aligner, Centering, Identity, ScoreCalibration
from isthmus.align._candidates import DEFAULT
from isthmus.align._cross_validation import Fold, _drop, _drop_futile, cross_validate, leave_one_out_gains


def captions() -> Pairs:
    """Return 80 items, of which the first has no row of y and all others have two."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 8))
    index = np.repeat(np.arange(1, 80), 2)
    return Pairs(x=x, y=x[index] + 0.3 * rng.normal(size=(158, 8)), index=index)


def test_held_out_scores_of_captions_leave_out_items_without_a_match() -> None:
    held_out = cross_validate(
        captions(), np.arange(80), None, [Identity(), Centering(), ScoreCalibration()], aim="search", tolerance=0.01,
        folds=2, repeats=2, seed=0, normalize=True, paired=True,
    )  # fmt: skip
    assert held_out.names == ["Identity", "Centering", "ScoreCalibration"]
    assert held_out.scores.shape == (2, 3, 79)
    assert held_out.fold.shape == (2, 79)
    assert (held_out.scores >= 0).all()
    assert held_out.scores[1].mean() > 0.5


def test_leave_one_out_gains_count_each_group_once() -> None:
    group = np.arange(80) // 2  # items 2k and 2k + 1 are one
    gains = leave_one_out_gains(captions(), group, True)
    assert gains.shape == (40,)
    assert np.isfinite(gains).all()  # item 0 has no match, and item 1 of its group has
    alone = leave_one_out_gains(captions(), np.arange(80), True)
    assert np.flatnonzero(np.isnan(alone)).tolist() == [0]
    assert set(np.unique(gains[~np.isnan(gains)])) <= {-1.0, -0.5, 0.0, 0.5, 1.0}


def test_candidate_without_a_solution_does_not_keep_hopeless_ones() -> None:
    rng = np.random.default_rng(0)
    hits = (rng.random(size=(2, 4, 200)) < 0.9).astype(float)
    hits[:, 1] = np.nan  # no solution
    hits[0, 2], hits[1, 2] = 0.0, hits[1, 0]  # hopeless in the score of the aim, not in recall
    _drop(hits, np.ones(200, dtype=bool), np.arange(200), 0.01)
    assert np.isnan(hits[:, [1, 2]]).all()
    assert not np.isnan(hits[:, [0, 3]]).any()


def test_candidate_behind_the_default_is_dropped_if_the_default_keeps_recall() -> None:
    rng = np.random.default_rng(0)
    hits = (rng.random((4, 200)) < np.array([0.3, 0.6, 0.5, 0.63])[:, None]).astype(float)
    names, group, inside = ["Identity", DEFAULT, "Centering", "RidgeCCA"], np.arange(200), np.ones(200, dtype=bool)

    def kept(aim: str, recalls: np.ndarray, share: float = 0.2) -> list[str]:
        scores = np.stack([hits, recalls])
        _drop_futile(scores, inside, group, aim, 0.01, names, share)
        return [name for name, value in zip(names, scores[0], strict=True) if not np.isnan(value).any()]

    same_recall = np.tile(hits[0], (4, 1))
    assert kept("search", same_recall) == ["Identity", DEFAULT, "RidgeCCA"]
    assert kept("search", same_recall, share=0.95) == [
        "Identity",
        DEFAULT,
    ]  # one standard error ahead cannot become two
    lower = same_recall * np.array([1.0, 0.5, 1.0, 1.0])[:, None]
    assert kept("search", lower) == names  # the default may be refused
    assert kept("retrieval", same_recall) == names
    hits[2] = hits[0] * (rng.random(200) < 0.8)
    assert kept("retrieval", same_recall) == ["Identity", DEFAULT, "RidgeCCA"]


def test_candidate_behind_the_best_is_dropped_if_the_default_is_dropped() -> None:
    rng = np.random.default_rng(1)
    hits = (rng.random((4, 400)) < np.array([0.3, 0.6, 0.9, 0.78])[:, None]).astype(float)
    hits[1] = np.nan
    names, inside = ["Identity", DEFAULT, "Centering", "RidgeCCA"], np.ones(400, dtype=bool)
    for share, recall, expected in (
        (0.2, 1.0, "Identity Centering RidgeCCA"),
        (0.6, 1.0, "Identity Centering"),
        (0.6, 0.98, "Identity Centering RidgeCCA"),  # the best one loses too much recall
    ):
        scores = np.stack([hits, np.ones((4, 400))])
        scores[1, 2] = recall
        _drop_futile(scores, inside, np.arange(400), "search", 0.01, names, share)
        named = [name for name, value in zip(names, scores[0], strict=True) if not np.isnan(value).any()]
        assert named == expected.split()


def test_candidate_behind_the_best_is_dropped_if_the_best_will_hardly_lose_its_lead_over_the_default() -> None:
    rng = np.random.default_rng(2)
    names, inside = ["Identity", DEFAULT, "SharedSignal", "RidgeCCA"], np.ones(400, dtype=bool)
    hits = (rng.random((4, 400)) < np.array([0.3, 0.6, 0.95, 0.8])[:, None]).astype(float)
    for share, recall, expected in (
        (0.2, 1.0, names),  # the lead may be lost
        (0.6, 1.0, names[:3]),
        (0.6, 0.98, names),  # the best one may lose too much recall
    ):
        scores = np.stack([hits, np.ones((4, 400))])
        scores[1, 2] = np.arange(400) < recall * 400
        _drop_futile(scores, inside, np.arange(400), "search", 0.01, names, share)
        assert [name for name, value in zip(names, scores[0], strict=True) if not np.isnan(value).any()] == expected


def test_rows_and_maps_of_a_fold_are_forgotten_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decompositions of all folds together would take twice the memory of the largest fold."""
    folds: list[Fold] = []
    judge = Fold.judge

    def recorded(fold: Fold, aligner: Aligner) -> Any:
        if fold not in folds:
            assert not any(hasattr(before, "moments") for before in folds)
            folds.append(fold)
        return judge(fold, aligner)

    monkeypatch.setattr(Fold, "judge", recorded)
    with config_context(threads=1):
        cross_validate(
            captions(), np.arange(80), None, [Identity(), Centering(), ScoreCalibration()], aim="retrieval",
            tolerance=1, folds=3, repeats=1, seed=0, normalize=True, paired=True,
        )  # fmt: skip
    assert len(folds) == 3

"""Auto: its rules, its folds, its fallbacks, and its results on real pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import InputError, IsthmusWarning, Moments, align
from isthmus.align import Auto, _cross_validation
from isthmus.align._cross_validation import AIMS, best_row, explain_choice
from isthmus.tasks import MixedSearch, Retrieval


def row(name: str, value: float, recall: float, change: float, gain: float, error: float, ok: bool) -> dict[str, Any]:
    return {
        "name": name, "value": value, "recall": recall, "change": change, "gain": gain, "gain_error": error,
        "change_error": 0.01, "admissible": ok,
    }  # fmt: skip


def test_best_row_for_search_is_the_best_admissible_one() -> None:
    table = [
        row("raw", 0.0, 0.6, 0.0, 0.0, 0.0, True),
        row("gentle", 0.29, 0.62, 0.02, 0.29, 0.02, True),
        row("best", 0.30, 0.59, -0.01, 0.30, 0.02, True),
        row("greedy", 0.50, 0.40, -0.20, 0.50, 0.02, False),
    ]
    assert best_row(table, "search") == 2
    table[1]["value"] = 0.3
    assert best_row(table, "search") == 1  # the gentler of equals


def test_best_row_for_retrieval_has_a_significant_gain() -> None:
    table = [
        row("raw", 0.6, 0.6, 0.0, 0.0, 0.0, True),
        row("lucky", 0.65, 0.65, 0.05, 0.05, 0.03, True),
        row("sure", 0.63, 0.63, 0.03, 0.03, 0.005, True),
    ]
    assert best_row(table, "retrieval") == 2
    assert best_row(table[:2], "retrieval") == 0


def test_search_on_the_collapsed_run_finds_mixed_pairs() -> None:
    pairs = isthmus.demo.load("collapsed", split="test")
    fit, test = pairs.split_half(rng=0)
    auto = Auto(aim="search").fit(fit)
    raw, found = test.unit(), auto.transform(test)
    assert MixedSearch.of(*raw).recall(1) < 0.02
    assert MixedSearch.of(*found).recall(1) > 0.35
    assert "R@1" in auto.reasons_[0]
    assert auto.table_[0]["name"] == "Identity"
    assert auto.fit_info_["chosen"] == type(auto.chosen_).__name__


def test_retrieval_on_unrelated_rows_chooses_identity(rng: np.random.Generator) -> None:
    """Every caption occurs twice. Rows of one item in two folds would leak the pairing."""
    n, d = 60, 12
    x, y = rng.normal(size=(2, n, d))  # no relation at all between the sides
    doubled = np.concatenate([y, y])
    auto = Auto(aim="retrieval").fit(x, doubled, index=np.concatenate([np.arange(n)] * 2))
    assert auto.fit_info_["chosen"] == "Identity"
    assert all(r["recall"] < 0.12 for r in auto.table_)
    alone = Auto(aim="search").fit(x, y)
    again = Auto(aim="search").fit(x, y)
    assert alone.table_ == again.table_


def test_fit_to_moments_or_few_pairs_falls_back(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 100, 6))
    with pytest.warns(IsthmusWarning, match=r"falls back to Centering: moments hold no rows to cross-validate on"):
        auto = Auto().fit_moments(Moments.of(x, y))
    assert type(auto.chosen_).__name__ == "Centering"
    assert "not cross-validated" in auto.reasons_[0]
    with pytest.warns(IsthmusWarning, match="falls back to Identity: 20 items are too few"):
        Auto(aim="retrieval").fit(x[:20], y[:20])


def test_classification_with_common_offsets_chooses_a_map(rng: np.random.Generator) -> None:
    """A common offset of each modality hides the classes from dot products, and centring removes it."""
    labels = rng.integers(0, 4, size=400)
    centres = rng.normal(size=(4, 10))
    x, y = centres[labels] + 0.5 * rng.normal(size=(2, 400, 10))
    x, y = x + 8 * np.eye(10)[0], y - 8 * np.eye(10)[1]
    auto = Auto(aim="classification").fit(isthmus.Pairs(x=x, y=y, labels=labels))
    assert auto.fit_info_["chosen"] != "Identity"
    assert max(r["value"] for r in auto.table_) > auto.table_[0]["value"] + 0.1
    texts = dict(enumerate(centres - 8 * np.eye(10)[1]))
    zero_shot = Auto(aim="classification").fit(x, y, labels=labels, class_texts=texts)
    assert zero_shot.table_[1]["value"] > zero_shot.table_[0]["value"]
    with pytest.raises(InputError, match="needs labels="):
        Auto(aim="classification").fit(x, y)
    del texts[3]
    with pytest.raises(InputError, match=r"no class text for 1 of the labels \(3\); give one vector for each class"):
        Auto(aim="classification").fit(x, y, labels=labels, class_texts=texts)


def test_reduction_to_the_span_changes_no_score(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few rows of many dimensions are solved in their span and without the reduction."""
    n, d = 45, 120
    latent = rng.normal(size=(n, d)) / np.arange(1, d + 1)
    x, y = latent + 0.1 * rng.normal(size=(2, n, d)) / np.arange(1, d + 1) + np.eye(d)[:2, None]
    labels, texts = np.arange(n) % 3, dict(enumerate(rng.normal(size=(3, d))))
    for aim in AIMS:
        given = {"labels": labels, "class_texts": texts} if aim == "classification" else {}
        narrow = Auto(aim=aim).fit(x, y, **given).table_
        with monkeypatch.context() as patch:
            patch.setattr(_cross_validation, "reduce_to_span", lambda pairs, texts, normalize: (pairs, texts, 1.0))
            wide = Auto(aim=aim).fit(x, y, **given).table_
        for a, b in zip(narrow, wide, strict=True):
            assert a["name"] == b["name"]
            assert a["value"] == pytest.approx(b["value"], abs=1e-9)
            assert a["recall"] == pytest.approx(b["recall"], abs=1e-9)
    assert len({row["value"] for row in narrow}) > 3


def test_folds_of_repeated_rows_are_disjoint(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each image occurs in three rows. All of them are in one fold."""
    x, y = np.repeat(rng.normal(size=(50, 12)), 3, axis=0), rng.normal(size=(150, 12))
    seen, of = [], Moments.of
    monkeypatch.setattr(
        "isthmus.statistics.moments.Moments.of",
        lambda p, *rest, **options: (seen.append(p), of(p, *rest, **options))[1],
    )
    Auto().fit(x, y)
    folds = [{tuple(row) for row in part.x.read(0, 150).round(9)} for part in seen[1:]]
    assert [len(fold) for fold in folds] == [25] * 6
    assert len(folds[0] | folds[1]) == 50
    with pytest.warns(IsthmusWarning, match="30 items are too few"):
        Auto().fit(x[:90], y[:90])


def test_fit_with_invalid_options_is_refused(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 100, 6))
    with pytest.raises(InputError, match="aim='fast', expected 'search', 'retrieval' or 'classification'"):
        Auto(aim="fast").fit(x, y)
    with pytest.raises(InputError, match="folds=1, repeats=3: expected 2 or more, and 1 or more"):
        Auto(folds=1).fit(x, y)


def test_loaded_auto_has_choice_and_reasons(tmp_path: Path) -> None:
    pairs = isthmus.demo.load("collapsed", split="test")
    auto = Auto().fit(pairs)
    auto.save(tmp_path / "a.safetensors")
    back = isthmus.load(tmp_path / "a.safetensors")
    assert (back.reasons_, back.table_, back.aim) == (auto.reasons_, auto.table_, "search")
    assert back.chosen_.get_params() == auto.chosen_.get_params()
    np.testing.assert_array_equal(back.transform(pairs)[0], auto.transform(pairs)[0])


def recall(x: np.ndarray, y: np.ndarray) -> float:
    ranks = Retrieval.of(x, y)
    return float(np.mean([np.mean(ranks.x_to_y <= 1), np.mean(ranks.y_to_x <= 1)]))


@pytest.mark.slow
def test_search_on_clip_coco_keeps_recall(real: Any) -> None:
    """On three halves, mixed R@1 is at least .28 (raw 0) and recall within 2 points of raw (benchmarks/auto.py)."""
    x, y = (np.load(real(f"clip_coco/{side}.npy")) for side in ("image", "text"))
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x, y))
    found = []
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(x))
        fit, test = order[: len(x) // 2], order[len(x) // 2 :]
        auto = Auto(aim="search").fit(x[fit], y[fit])
        a, b = auto.transform(x[test], y[test])
        found.append((MixedSearch.of(a, b, rng=seed).recall(1), recall(a, b) - recall(x[test], y[test])))
    mixed, change = np.mean(found, axis=0)
    assert mixed >= 0.28
    assert change >= -0.02


def test_retrieval_with_few_pairs_keeps_recall(real: Any) -> None:
    """With fifty pairs of 768 dimensions, recall is at most half a point below raw on ten halves."""
    pairs = isthmus.open_pairs(real("videoclip_msrvtt/video.npy"), real("videoclip_msrvtt/text.npy"))
    changes = []
    for seed in range(10):
        fit, test = pairs.split_half(rng=seed)
        changes.append(recall(*Auto(aim="retrieval").fit(fit).transform(test)) - recall(*test.unit()))
    assert np.mean(changes) >= -0.005


@pytest.mark.slow
@pytest.mark.parametrize("run", isthmus.demo.RUNS)
def test_retrieval_on_the_demo_keeps_recall(run: str) -> None:
    train, test = (isthmus.demo.load(run, split=split) for split in ("train", "test"))
    a, b = Auto(aim="retrieval").fit(train).transform(test)
    assert recall(a, b) >= recall(*test.unit()) - 0.005
    changes = []
    for seed in range(10):
        fit, rest = test.split_half(rng=seed)
        changes.append(recall(*Auto(aim="retrieval").fit(fit).transform(rest)) - recall(*rest.unit()))
    assert np.mean(changes) >= -0.005


@pytest.mark.parametrize("name", align.registry())
def test_registered_aligner_is_public(name: str) -> None:
    """Every aligner of the package is exported under its own name."""
    assert name in align.__all__


def test_explain_choice_says_why_rows_stay_and_which_candidate_was_rejected() -> None:
    table = [
        row("Identity", 0.3, 0.6, 0.0, 0.0, 0.0, True),
        row("Centering", 0.4, 0.65, 0.05, 0.1, 0.02, True),
        row("RidgeCCA", 0.5, 0.4, -0.20, 0.2, 0.02, False),
    ]
    kept, changed = explain_choice(table, 0, "search", 100), explain_choice(table, 1, "search", 100)
    stays = "No candidate is better at the accepted recall in mixed-modality R@1, so the rows stay as they are."
    assert kept[1] == stays
    assert kept[2].startswith("RidgeCCA reaches 50.0 % and was not accepted: cross-modal R@1 -20.0 points")
    assert len(changed) == 2
    assert changed[1] == kept[2]
    assert "is significantly better in accuracy" in explain_choice(table[:1], 0, "classification", 100)[1]


def test_fall_back_warns_at_the_line_of_the_caller(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 20, 6))
    moments = Moments.of(x, y)
    with pytest.warns(IsthmusWarning, match="falls back") as of_fit:
        Auto().fit(x, y)
    with pytest.warns(IsthmusWarning, match="falls back") as of_moments:
        Auto().fit_moments(moments)
    assert of_fit[0].filename == of_moments[0].filename == __file__

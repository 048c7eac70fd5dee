"""Auto: its rules, its folds, its fallbacks, and its results on real pairs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import InputError, IsthmusWarning, Moments, Pairs, align
from isthmus.align import Auto
from isthmus.align import auto as auto_module
from isthmus.align._candidates import AIMS, candidates, display_name
from isthmus.align._choice import HeldOut, choose, explain_choice, independent_scores, sign_p_value
from isthmus.tasks import MixedSearch, Retrieval, TaskData
from isthmus.tasks import registry as tasks


def held_out(names: list[str], values: list[np.ndarray], recalls: list[np.ndarray], gains: Any = None) -> HeldOut:
    """Return scores of single items in two folds."""
    n = len(values[0])
    loo = np.full(n, np.nan) if gains is None else gains
    return HeldOut(names, np.stack([values, recalls]), np.arange(n), np.arange(n)[None] % 2, loo)


def hits(share: float, n: int = 400) -> np.ndarray:
    """Return hits of a share of n items in a mixed order, the same items first for every share."""
    return (np.random.default_rng(0).permutation(n) < share * n).astype(float)


NAMES = ["Identity", "KernelBlend", "ScoreCalibration"]


@pytest.mark.parametrize(
    ("values", "recalls", "chosen"),
    [
        ((0.3, 0.5, 0.5), (0.6, 0.6, 0.6), 2),  # the default, because nothing beats it
        ((0.3, 0.505, 0.5), (0.6, 0.6, 0.6), 2),  # by less than two standard errors
        ((0.3, 0.6, 0.5), (0.6, 0.6, 0.6), 1),
        ((0.3, 0.6, 0.5), (0.6, 0.58, 0.6), 2),  # the candidate loses 2 points of recall
        ((0.3, 0.4, 0.5), (0.6, 0.6, 0.5), 1),  # the default loses 10 points of recall
        ((0.3, 0.4, 0.5), (0.6, 0.5, 0.5), 0),
    ],
)
def test_search_chooses_the_default_or_what_beats_it_at_the_accepted_recall(
    values: Any, recalls: Any, chosen: int
) -> None:
    data = held_out(NAMES, [hits(v) for v in values], [hits(r) for r in recalls])
    best, table = choose(data, "search", 0.01, "ScoreCalibration")
    assert best == chosen
    reasons = explain_choice(
        table, best, "search", 400, tolerance=0.01, default="ScoreCalibration",
        independent=independent_scores(data, "search", 0.01, "ScoreCalibration"),
    )  # fmt: skip
    assert reasons[0].startswith(NAMES[chosen])
    assert "standard error" in reasons[0]


def test_reasons_say_whether_the_choice_is_better_than_the_raw_rows(rng: np.random.Generator) -> None:
    same = "Neither score is measurably higher than that of the raw rows, which may therefore stay as they are."
    u = rng.normal(size=(200, 32))
    assert same in Auto().fit(u, u + 0.01 * rng.normal(size=u.shape)).reasons_
    assert same not in Auto().fit(isthmus.demo.load("collapsed", split="test")).reasons_


@pytest.mark.parametrize(("recall", "is_stated"), [(0.01, True), (0.02, False)])
def test_choice_states_recall_at_chance(recall: float, is_stated: bool) -> None:
    """Of 400 queries and 2 folds, .5 % is chance, and 1.6 % three standard errors above it."""
    data = held_out(NAMES, [hits(0.3)] * 3, [hits(recall)] * 3)
    best, table = choose(data, "search", 0.01, "ScoreCalibration")
    independent = independent_scores(data, "search", 0.01, "ScoreCalibration")
    options: dict[str, Any] = {"tolerance": 0.01, "default": "ScoreCalibration", "independent": independent}
    reasons = explain_choice(table, best, "search", 400, folds=2, **options)
    sentence = "Cross-modal R@1 is not measurably above chance (raw 1.0 %, ScoreCalibration 1.0 %, chance 0.5 %)"
    assert any(reason.startswith(sentence) for reason in reasons) is is_stated


def test_independent_scores_judge_each_fold_by_the_choice_of_the_others() -> None:
    raw, gain_in_fold_0 = np.zeros(400), (np.arange(400) % 2 == 0).astype(float)
    data = held_out(NAMES[:2], [raw, gain_in_fold_0], [raw, raw])
    assert choose(data, "search", 0.01, "ScoreCalibration")[0] == 1
    independent = independent_scores(data, "search", 0.01, "ScoreCalibration")
    assert independent["gain"] == 0  # fold 1 chooses the raw rows for fold 0, and fold 0 its gain for fold 1


def test_search_decides_smaller_differences_with_more_pairs() -> None:
    few, many = (held_out(NAMES, [hits(v, n) for v in (0.3, 0.55, 0.5)], [hits(0.6, n)] * 3) for n in (50, 4_000))
    assert choose(few, "search", 0.01, "ScoreCalibration")[0] == 2
    assert choose(many, "search", 0.01, "ScoreCalibration")[0] == 1


def test_search_never_keeps_the_rows_if_a_candidate_is_clearly_better() -> None:
    data = held_out(NAMES[:2], [hits(0.3), hits(0.4)], [hits(0.6), hits(0.595)])
    assert choose(data, "search", 0.01, "ScoreCalibration")[0] == 1


@pytest.mark.parametrize(("gains", "losses", "chosen"), [(20, 5, 2), (20, 14, 0), (3, 0, 0)])
def test_retrieval_takes_a_significant_gain_of_the_default(gains: int, losses: int, chosen: int) -> None:
    changes = np.zeros(400)
    changes[:gains], changes[gains : gains + losses] = 1.0, -1.0
    recalls = [hits(0.6)] * 3
    best, table = choose(held_out(NAMES, recalls, recalls, changes), "retrieval", 0.01, "ScoreCalibration")
    assert best == chosen
    assert table[2]["leave_one_out_gain"] == pytest.approx((gains - losses) / 400)


def test_retrieval_never_chooses_a_default_that_was_dropped() -> None:
    changes = np.repeat([1.0, 0.0], [40, 360])
    values = [hits(0.2), hits(0.6), np.full(400, np.nan)]
    data = held_out(NAMES, values, values, changes)
    best, table = choose(data, "retrieval", 0.01, "ScoreCalibration")
    assert (best, table[2]["admissible"]) == (1, False)
    assert np.isfinite(independent_scores(data, "retrieval", 0.01, "ScoreCalibration")["gain"])


@pytest.mark.parametrize(("other", "expected"), [(0.8, "It beats ScoreCalibration by"), (0.602, "no other candidate")])
def test_rule_of_retrieval_states_the_lead_that_decided(other: float, expected: str) -> None:
    values = [hits(0.3), hits(other), hits(0.6)]
    data = held_out(NAMES, values, values, np.repeat([1.0, 0.0], [40, 360]))
    best, table = choose(data, "retrieval", 0.01, "ScoreCalibration")
    reasons = explain_choice(
        table, best, "retrieval", 400, tolerance=0.01, default="ScoreCalibration",
        independent=independent_scores(data, "retrieval", 0.01, "ScoreCalibration"),
    )  # fmt: skip
    lead, error = (100 * table[1][name] for name in ("lead", "lead_error"))
    assert expected in reasons[1]
    assert f"{lead:+.1f} points, standard error {error:.1f}" in " ".join(reasons)


def test_sign_test_of_few_hits_is_a_binomial_test() -> None:
    values = np.array([1.0, 1.0, 1.0, -1.0, 0.0])
    assert sign_p_value(values, np.arange(5)) == pytest.approx((1 / 16 + 5 / 16) / 2)  # mid-p of 3 of 4
    assert sign_p_value(-np.ones(3), np.arange(3)) == 1.0


def test_search_on_the_collapsed_run_serves_an_index() -> None:
    fit, test = isthmus.demo.load("collapsed", split="test").split_half(rng=0)
    auto = Auto(aim="search").fit(fit)
    x, y = test.unit()
    assert auto.corrects_scores
    assert MixedSearch.of(x, y).exchange() < 0.4 < MixedSearch.of(x, y, correction=auto).exchange()
    assert auto.table_[0]["name"] == "Identity"
    assert auto.fit_info_["chosen"] == type(auto.chosen_).__name__
    products = auto.query(y, modality="text") @ auto.stored(x, modality="image").T
    rows = np.broadcast_to(np.arange(len(x)), products.shape)
    merged = auto.merge({"image": (products, rows)}, y, modality="text", k=5)
    scores = auto.scores(y, x, query="text", stored="image")
    np.testing.assert_allclose(merged.scores, -np.sort(-scores, axis=1)[:, :5], atol=1e-4)
    with pytest.raises(InputError, match="no transform; store stored"):
        auto.transform(test)
    with pytest.raises(InputError, match="no transform"):
        auto.to_torch()
    moved = auto.adapt(x, y)
    assert moved.corrects_scores
    assert moved.stored(x, modality="image").shape == (len(x), 66)


@pytest.mark.parametrize("constraint", ["rows", "affine", "no_pairs"])
def test_constraint_limits_the_candidates(constraint: str) -> None:
    pairs = isthmus.demo.load("plain", split="test").split_half(rng=0)[0]
    auto = Auto(constraint=constraint).fit(pairs)
    names = [entry["name"] for entry in auto.table_]
    if constraint == "no_pairs":
        assert "ScoreCalibration" in names
        assert "RidgeCCA" not in names
        assert not auto.uses_pairs
        return
    assert not any(name.startswith("Score") for name in names)
    assert any(name.startswith("Blend") for name in names) == (constraint == "rows")
    assert auto.transform(pairs)[0].shape == (298, 64)


def test_retrieval_on_unrelated_rows_chooses_identity(rng: np.random.Generator) -> None:
    """Every caption occurs twice. Rows of one item in two folds would leak the pairing."""
    n, d = 60, 12
    x, y = rng.normal(size=(2, n, d))  # no relation at all between the sides
    doubled = np.concatenate([y, y])
    auto = Auto(aim="retrieval").fit(x, doubled, index=np.concatenate([np.arange(n)] * 2))
    assert auto.fit_info_["chosen"] == "Identity"
    recalls = [r["recall"] for r in auto.table_ if not r["dropped"]]
    assert 0 < max(recalls) < 0.15
    alone, again = (Auto(aim="search", constraint="affine").fit(x, y) for _ in range(2))
    assert alone.table_ == again.table_


def test_fit_to_moments_or_few_pairs_falls_back(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 100, 6))
    with pytest.warns(
        IsthmusWarning, match=r"falls back to ScoreStandardization: moments hold no rows to cross-validate on"
    ):
        auto = Auto().fit_moments(Moments.of(x, y))
    assert type(auto.chosen_).__name__ == "ScoreStandardization"
    with pytest.warns(IsthmusWarning, match="falls back to ScoreCalibration: 20 items are too few"):
        few = Auto().fit(x[:20], y[:20])
    assert few.stored(x, modality="x").shape == (100, 8)
    assert "not cross-validated" in auto.reasons_[0]
    with pytest.warns(IsthmusWarning, match="falls back to ScoreCalibration: 20 items are too few"):
        Auto(aim="retrieval").fit(x[:20], y[:20])


def test_classification_with_common_offsets_chooses_a_map(rng: np.random.Generator) -> None:
    """A common offset of each modality hides the classes from dot products, and centring removes it."""
    labels = rng.integers(0, 4, size=400)
    centres = rng.normal(size=(4, 10))
    x, y = centres[labels] + 0.5 * rng.normal(size=(2, 400, 10))
    x, y = x + 8 * np.eye(10)[0], y - 8 * np.eye(10)[1]
    auto = Auto(aim="classification").fit(isthmus.Pairs(x=x, y=y, labels=labels))
    assert auto.fit_info_["chosen"] != "Identity"
    assert max(r["value"] for r in auto.table_ if not r["dropped"]) > auto.table_[0]["value"] + 0.1
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
        narrow = Auto(aim=aim, constraint="affine").fit(x, y, **given).table_
        with monkeypatch.context() as patch:
            patch.setattr(auto_module, "reduce_to_span", lambda pairs, texts, normalize: (pairs, texts, 1.0))
            wide = Auto(aim=aim, constraint="affine").fit(x, y, **given).table_
        for a, b in zip(narrow, wide, strict=True):
            assert a["name"] == b["name"]
            assert a["dropped"] == b["dropped"]
            if a["dropped"]:
                continue
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
    Auto(aim="retrieval", constraint="rows").fit(x, y)
    folds = [{tuple(row) for row in part.x.read(0, 150).round(9)} for part in seen if isinstance(part, Pairs)]
    folds = [fold for fold in folds if len(fold) < 50]  # the others are all rows
    assert [len(fold) for fold in folds] == [25] * 6
    assert all(any(len(fold | other) == 50 for other in folds) for fold in folds)
    with pytest.warns(IsthmusWarning, match="30 items are too few"):
        Auto().fit(x[:90], y[:90])


def test_fit_with_invalid_options_is_refused(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 100, 6))
    with pytest.raises(InputError, match="aim='fast', expected 'search', 'retrieval' or 'classification'"):
        Auto(aim="fast").fit(x, y)
    with pytest.raises(InputError, match="folds=1, repeats=0: expected 2 or more folds"):
        Auto(folds=1).fit(x, y)
    with pytest.raises(InputError, match="constraint='linear', expected 'none', 'rows', 'no_pairs' or 'affine'"):
        Auto(constraint="linear").fit(x, y)
    with pytest.raises(InputError, match=r"max_recall_loss=-1, expected a share"):
        Auto(max_recall_loss=-1).fit(x, y)


def test_loaded_auto_has_choice_and_reasons(tmp_path: Path) -> None:
    pairs = isthmus.demo.load("collapsed", split="test")
    auto = Auto().fit(pairs)
    auto.save(tmp_path / "a.safetensors")
    back = isthmus.load(tmp_path / "a.safetensors")
    assert (back.reasons_, back.table_, back.aim) == (auto.reasons_, auto.table_, "search")
    assert repr(back.chosen_) == repr(auto.chosen_)
    x = pairs.unit()[0]
    np.testing.assert_array_equal(back.stored(x, modality="image"), auto.stored(x, modality="image"))


def recall(x: np.ndarray, y: np.ndarray) -> float:
    ranks = Retrieval.of(x, y)
    return float(np.mean([np.mean(ranks.x_to_y <= 1), np.mean(ranks.y_to_x <= 1)]))


def recall_after(auto: Auto, test: isthmus.Pairs) -> float:
    rows = test.unit() if auto.corrects_scores else auto.transform(test)
    scores = tasks()["retrieval"].run(TaskData(*rows, correction=auto if auto.corrects_scores else None)).scores()
    return scores["R@1"]


def recall_changes(pairs: isthmus.Pairs, aim: str, splits: int = 10) -> list[float]:
    """Return the changes of R@1 on the halves that the fit has not seen."""
    halves = [pairs.split_half(rng=seed) for seed in range(splits)]
    return [recall_after(Auto(aim=aim).fit(fit), test) - recall(*test.unit()) for fit, test in halves]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The match of a row stands")  # in noise, seldom
def test_retrieval_on_noise_rarely_chooses_anything() -> None:
    """At most 2.5 % of sets of unrelated rows, and two standard errors of 150 sets."""
    n_false = 0
    for seed in range(150):
        rng = np.random.default_rng([7, seed])
        x, y = rng.normal(size=(2, (60, 150)[seed % 2], 8)) + rng.normal(size=(2, 1, 8))
        n_false += Auto(aim="retrieval").fit(x, y).fit_info_["chosen"] != "Identity"
    assert n_false / 150 <= 0.025 + 2 * (0.025 * 0.975 / 150) ** 0.5


@pytest.mark.slow
def test_auto_on_clip_coco_takes_the_gain_of_the_bank(real: Any) -> None:
    pairs = isthmus.open_pairs(real("clip_coco/image.npy"), real("clip_coco/text.npy"))
    for aim in ("search", "retrieval"):
        assert np.mean(recall_changes(pairs, aim, 3)) > 0.02


@pytest.mark.slow
def test_retrieval_with_few_pairs_gains_recall(real: Any) -> None:
    """With fifty pairs of 768 dimensions, the gain of the bank is taken where it shows."""
    pairs = isthmus.open_pairs(real("videoclip_msrvtt/video.npy"), real("videoclip_msrvtt/text.npy"))
    assert np.mean(recall_changes(pairs, "retrieval")) >= 0.01


@pytest.mark.slow
@pytest.mark.parametrize("run", isthmus.demo.RUNS)
def test_retrieval_on_the_demo_keeps_recall(run: str) -> None:
    assert np.mean(recall_changes(isthmus.demo.load(run, split="test"), "retrieval", 4)) >= -0.005


@pytest.mark.parametrize("name", align.registry())
def test_registered_aligner_is_public(name: str) -> None:
    """Every aligner of the package is exported under its own name."""
    assert name in align.__all__


def test_fall_back_warns_at_the_line_of_the_caller(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 20, 6))
    moments = Moments.of(x, y)
    with pytest.warns(IsthmusWarning, match="falls back") as of_fit:
        Auto().fit(x, y)
    with pytest.warns(IsthmusWarning, match="falls back") as of_moments:
        Auto().fit_moments(moments)
    assert of_fit[0].filename == of_moments[0].filename == __file__


@pytest.mark.parametrize("aim", ["search", "classification"])
def test_candidates_of_constraint_affine_are_all_with_affine_maps(aim: str) -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 60, 6)) + 1
    kinds = {}
    for aligner in candidates(aim, "rows", normalize=True):
        aligner.fit(x, y)
        kinds[display_name(aligner)] = type(aligner.map_x_).__name__
    affine = {display_name(aligner) for aligner in candidates(aim, "affine", normalize=True)}
    assert affine <= kinds.keys()
    assert {kinds[name] for name in affine} == {"Affine"}
    assert {"KernelBlend", "SharedSignal", "RidgeCCA"} <= affine


def test_rule_of_search_states_the_standard_error_of_what_decided() -> None:
    rng = np.random.default_rng(0)

    def rule(shares: list[float], recalls: list[float]) -> str:
        values, recall_hits = ([(rng.random(400) < share).astype(float) for share in s] for s in (shares, recalls))
        scores = held_out(NAMES, values, recall_hits)
        best, table = choose(scores, "search", 0.01, "ScoreCalibration")
        numbers = {"value": 0.5, "gain": 0.1, "gain_error": 0.1, "change": 0.0, "change_error": 0.1}
        options: Any = {"tolerance": 0.01, "default": "ScoreCalibration", "independent": numbers}
        return explain_choice(table, best, "search", 400, **options)[1]

    kept = rule([0.2, 0.6, 0.6], [0.1, 0.5, 0.5])
    assert re.search(r"it is the default.*The nearest is \w+, [+-]\d+.\d points, standard error \d.\d\.", kept)
    beaten = rule([0.2, 0.7, 0.4], [0.1, 0.5, 0.5])
    assert re.search(r"It beats that of ScoreCalibration .*\(\+\d+.\d points, standard error \d.\d\)", beaten)
    refused = rule([0.2, 0.6, 0.6], [0.5, 0.9, 0.2])
    assert re.search(r"ScoreCalibration loses recall \(-\d+.\d points, standard error \d.\d\)", refused)


def test_fit_reads_all_pairs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counts, of = [], Moments.of.__func__

    def counted(cls: type[Moments], *data: Any, **options: Any) -> Moments:
        moments = of(cls, *data, **options)
        counts.append(moments.n)
        return moments

    monkeypatch.setattr(Moments, "of", classmethod(counted))
    pairs = isthmus.demo.load("plain")
    assert Auto(aim="search").fit(pairs.x.rows, pairs.y.rows).chosen_.corrects_scores
    assert counts.count(len(pairs.y.rows)) == 1

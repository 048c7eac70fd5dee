"""Scores of a comparison: definitions, predictions of the theory, intervals, and aligners that fail."""

from __future__ import annotations

import gc
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import InputError, Pairs
from isthmus.align import (
    Centering,
    HyperplaneRotation,
    Identity,
    MeanRotation,
    ScoreCalibration,
    SharedSpaceProjection,
    unregister,
)
from isthmus.data.grouping import pairs_of_items
from isthmus.evaluation import Comparison, compare, default_aligners
from isthmus.evaluation.held_out_half import TestHalf
from isthmus.evaluation.summary import pool_changes
from isthmus.evaluation.trial import Trial
from isthmus.metrics.centroid import gap_angle
from isthmus.statistics.result import Estimate


def trials_without_items(values: Sequence[float], fit_pairs: int, test_pairs: int) -> list[Trial]:
    """Return trials with changes of ARI, whose error items do not show."""
    return [
        Trial("Centering", {}, split, fit_pairs, test_pairs, changes={"ARI": (value, math.nan)})
        for split, value in enumerate(values)
    ]


class TestScores:
    def test_compare_scores_and_intervals_follow_their_definitions(self, pairs: Pairs) -> None:
        table = compare(pairs, aligners=[Centering()], splits=1, rng=7)
        fitting, testing = pairs.split_half(rng=7)
        x, y = Centering().fit(fitting).transform(*testing.unit())
        raw = testing.unit()

        def hits(a: Any, b: Any) -> np.ndarray:
            scores = a @ b.T
            own = np.diag(scores)
            return ((scores >= own[:, None]).sum(1) == 1) / 2 + ((scores >= own[None, :]).sum(0) == 1) / 2

        difference = hits(x, y) - hits(*raw)
        change = table["Centering"].changes["R@1"]
        deviations = difference - difference.mean()
        squares = deviations @ deviations
        growth = 1 + 4 * max((deviations**4).sum() / squares**2 - 3 / 60, 0)  # four pseudo-changes
        variance = growth * squares / (60 * 59)
        shift = 1.96**2 / 2 * (deviations**3).sum() / squares / 59 / growth
        half = math.sqrt(shift**2 + 1.96**2 * variance)
        assert table["Centering"].scores["R@1"].value == pytest.approx(hits(x, y).mean())
        assert change.value == pytest.approx(difference.mean())
        expected = (change.value + shift - half, change.value + shift + half)
        assert change.note == table["Identity"].changes["R@1"].note == ""
        assert (change.low, change.high) == pytest.approx(expected, abs=4e-3)  # some groups hold two of the items
        assert table["Identity"].changes["R@1"].value == 0
        differences = raw[0] - raw[1]
        noise = differences.var(axis=0, ddof=1).sum() / len(differences)
        assert table["Identity"].scores["gap_distance"].value == pytest.approx(
            np.sqrt(np.sum(differences.mean(axis=0) ** 2) - noise)
        )

    def test_compare_of_two_clouds_without_a_gap_shows_no_distance(self, rng: np.random.Generator) -> None:
        x = rng.normal(size=(400, 8))
        table = isthmus.compare(x, x + rng.normal(size=x.shape), aligners=["Centering"], splits=2, tasks=["retrieval"])
        assert table["Identity"].scores["gap_distance"].value < 0.02

    def test_compare_collapsed_run_has_the_scores_that_the_theory_predicts(self) -> None:
        run = isthmus.demo.arrays("collapsed", split="test")
        assert run.basis is not None
        u, v = (rows.astype(float) @ run.basis.T / 0.7 for rows in (run.image, run.text))
        cosine = float(np.mean(np.sum(u * v, axis=1)))
        table = compare(
            isthmus.demo.load("collapsed", split="test"),
            fit=isthmus.demo.load("collapsed", split="train"),
            aligners=[MeanRotation(), SharedSpaceProjection()],
        )
        scores = {name: table[name].scores for name in ("Identity", "MeanRotation", "SharedSpaceProjection")}
        assert scores["Identity"]["paired_cosine"].value == pytest.approx(0.51 * 0.5 + 0.49 * cosine, abs=1e-6)
        assert scores["MeanRotation"]["paired_cosine"].value == pytest.approx(0.51 + 0.49 * cosine, abs=0.005)
        assert scores["SharedSpaceProjection"]["paired_cosine"].value == pytest.approx(cosine, abs=0.03)
        assert scores["MeanRotation"]["gap"].value < 4
        # The rotation does not change the ranking across modalities. Mixed search is restored.
        assert abs(table["MeanRotation"].changes["R@1"].value) < 0.02
        assert table["MeanRotation"].changes["mixed_R@1"].low > 0.1

    def test_compare_score_correction_changes_mixed_search_alone(self) -> None:
        table = compare(isthmus.demo.load("collapsed", split="test"), aligners=["ScoreStandardization"], splits=1)
        raw, corrected = table["Identity"], table["ScoreStandardization"]
        assert corrected.scores["R@1"] == raw.scores["R@1"]
        assert (corrected.changes["R@1"].low, corrected.changes["R@1"].high) == (0, 0)
        assert "no two held-out items change differently" in corrected.changes["R@1"].note
        assert raw.scores["mixed_R@1"].value < 0.01
        assert corrected.scores["mixed_R@1"].value > 0.35
        assert corrected.scores["gap"].value == pytest.approx(60, abs=1)  # the rows do not move

    def test_compare_with_labels_runs_zero_shot_and_clustering(self) -> None:
        pairs = isthmus.demo.load("plain", split="test")
        table = compare(pairs, aligners=["Centering"], tasks=["zero_shot", "clustering"], splits=3)
        raw, centred = table["Identity"], table["Centering"]
        assert raw.scores["zero_shot_accuracy"].value > 0.5
        assert centred.scores["modality_NMI"].value < raw.scores["modality_NMI"].value
        assert centred.changes["ARI"].low < centred.changes["ARI"].value < centred.changes["ARI"].high

    def test_compare_given_class_texts_are_mapped(self) -> None:
        pairs = pairs_of_items(isthmus.demo.load("warm", split="test"))
        labels, text = pairs.labels, pairs.unit()[1]
        assert labels is not None
        means = {int(c): text[labels == c].mean(axis=0) for c in np.unique(labels)}
        options: dict[str, Any] = {"aligners": ["MeanRotation"], "tasks": ["zero_shot"], "splits": 1}
        table = compare(pairs, **options, class_texts=means)
        assert table["Identity"].scores["zero_shot_accuracy"].value > 0.5
        _, testing = pairs.split_half(rng=0)
        fitted = MeanRotation().fit(pairs.split_half(rng=0)[0])
        texts = fitted.transform_y(np.stack(list(means.values())))
        predicted = np.argmax(fitted.transform_x(testing.unit()[0]) @ texts.T, axis=1)
        accuracy = np.mean(np.array(list(means))[predicted] == testing.labels)
        assert table["MeanRotation"].scores["zero_shot_accuracy"].value == pytest.approx(accuracy)
        wrong = {c: means[(c + 1) % 10] for c in means}
        table = compare(pairs, **options, class_texts=wrong)
        assert table["Identity"].scores["zero_shot_accuracy"].value < 0.2

    def test_compare_more_items_than_the_limit_are_sampled(self, pairs: Pairs, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("isthmus.evaluation.comparison.MAX_ITEMS", 40)
        table = compare(pairs, aligners=[], tasks=["retrieval"], splits=1)
        assert (table.n_fit, table.n_test) == (20, 20)

    def test_compare_in_several_threads_gives_the_table_of_one_thread(self, pairs: Pairs) -> None:
        """Notes too: a warning of a fit belongs to the thread that fits."""
        aligners: list[Any] = [*default_aligners(), "Procrustes", "RidgeMap", ScoreCalibration(row_map="Centering")]
        tables = []
        for threads in (1, 3):
            with isthmus.config_context(threads=threads), warnings.catch_warnings():
                warnings.simplefilter("error")
                tables.append(compare(pairs, aligners=aligners, splits=2, fit_sizes=[30, 50]))
        assert tables[0].to_json() == tables[1].to_json()
        assert any("free map" in note for note in tables[0]["Procrustes on 30 items"].notes)


class TestFailures:
    @pytest.fixture
    def temporary_aligners(self) -> Iterator[list[str]]:
        names: list[str] = []
        yield names
        for name in names:
            unregister(name)

    def test_compare_calls_the_fit_that_an_aligner_overrides(self, pairs: Pairs, temporary_aligners: list[str]) -> None:
        fitted = []

        class Rowwise(Centering):
            def fit(self, X: Any, Y: Any = None, /, *, index: Any = None, paired: bool = True) -> Any:
                fitted.append(X.n_pairs)
                return super().fit(X)

        temporary_aligners.append("Rowwise")
        table = compare(pairs, aligners=[Rowwise(), Centering()], splits=1)
        assert fitted == [60]
        assert table["Rowwise"].scores["R@1"] == table["Centering"].scores["R@1"]

    def test_compare_keeps_the_reason_of_an_aligner_that_refuses(
        self, pairs: Pairs, temporary_aligners: list[str]
    ) -> None:
        class Refusing(Identity):
            def fit_moments(self, moments: Any, /, *, names: Any = None) -> Any:
                raise InputError("not today")

        temporary_aligners.append("Refusing")
        row = compare(pairs, aligners=[Refusing()], splits=2)["Refusing"]
        assert (row.scores, row.notes) == ({}, ["not today (2 of 2 splits)"])

    def test_compare_refuses_a_map_to_a_single_dimension(self, pairs: Pairs, temporary_aligners: list[str]) -> None:
        class Narrow(Identity):
            width = 1

            def transform(self, x: Any, y: Any) -> Any:
                return tuple(np.asarray(rows)[:, : self.width] for rows in (x, y))

        temporary_aligners.append("Narrow")
        row = compare(pairs, aligners=[Narrow()], tasks=["retrieval"], splits=1)["Narrow"]
        assert (row.scores, row.notes) == ({}, ["it keeps a single dimension, in which every cosine is 1 or -1"])
        Narrow.width = 2
        assert compare(pairs, aligners=[Narrow()], tasks=["retrieval"], splits=1)["Narrow"].scores


class TestIntervals:
    @pytest.mark.slow
    @pytest.mark.parametrize("splits", [1, 4])
    def test_interval_of_a_difference_covers_the_truth(self, simulated_tables: list[Comparison], splits: int) -> None:
        estimates = []
        for table in simulated_tables:
            trials = [t for t in table.trials if t.aligner == "Centering" and t.split < splits]
            e = pool_changes("R@10", trials)
            estimates.append((e.value, e.low, e.high))
        values, low, high = np.array(estimates).T
        truth = values.mean()
        assert np.ptp(values) > 0
        assert np.mean((low <= truth) & (truth <= high)) >= 0.93
        # Of one split and of several. Recall changes for 3 to 6 pairs, which four pseudo-changes widen.
        assert np.mean(high - low) < 1.3 * 3.92 * values.std()

    def test_gap_after_centering_allows_for_the_error_of_the_fitted_means(
        self, pairs: Pairs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The variance of a mean grows by the factor 1 + n_test / n_fit, if the fitted mean is subtracted."""
        inflations = []

        def spy(context: Any, *, inflation: float, with_null: bool) -> Estimate:
            inflations.append(inflation)
            return gap_angle(context, inflation=inflation, with_null=with_null)

        monkeypatch.setattr("isthmus.evaluation.mapped_clouds.gap_angle", spy)
        with isthmus.config_context(threads=1):  # several threads judge in any order
            compare(pairs, aligners=["Centering", "MeanRotation"], tasks=["retrieval"], splits=1, fit_sizes=[20])
        uses_means = [MeanRotation.uses_means, Centering.uses_means]
        assert uses_means == [False, True]
        assert inflations == [1.0, 1 + 60 / 20, 1.0]

    def test_pool_changes_of_a_score_without_items_uses_the_spread_over_splits(self) -> None:
        apart = pool_changes("ARI", trials_without_items((0.25, 0.5, 0.75, 0.5), 60, 30))
        # By hand: t(3) = 3.1824, standard deviation 0.20412, correction 1/4 + 30/60.
        assert apart.value == pytest.approx(0.5)
        assert apart.high - apart.value == pytest.approx(3.18245 * 0.204124 * math.sqrt(0.75), rel=1e-4)
        assert apart.value - apart.low == pytest.approx(apart.high - apart.value)

    def test_pool_changes_without_a_spread_gives_no_interval(self) -> None:
        same = pool_changes("ARI", trials_without_items((0.5,) * 4, 50, 50))
        assert (same.value, math.isnan(same.low), "all splits give the same number" in same.note) == (0.5, True, True)
        assert math.isnan(pool_changes("ARI", trials_without_items((0.5, 0.6), 50, 50)).low)
        assert math.isfinite(pool_changes("ARI", trials_without_items((0.5, 0.6, 0.7), 50, 50)).low)

    def test_pool_changes_near_the_largest_possible_one_end_at_it(self) -> None:
        trial = Trial("Centering", {}, 0, 150, 150, changes={"mixed_R@1": (0.99, 0.0004), "median_rank": (2.0, 1.0)})
        change = pool_changes("mixed_R@1", [trial])
        assert (0.9 < change.low < 0.99, change.high) == (True, 1.0)
        assert pool_changes("median_rank", [trial]).high > 3

    @pytest.mark.parametrize("name", ["mixed_R@1", "fairness", "R@1", "median_rank"])
    def test_pool_changes_that_no_item_shows_leave_room_for_unseen_ones(self, name: str) -> None:
        """Of n items none changes with the probability .025 if 3.7 are expected to change."""
        changes = dict.fromkeys(("mixed_R@1", "fairness", "R@1", "median_rank"), (0.0, 0.0))
        changes["mixed_MRR"] = 0.1, 0.001
        trials = [Trial("Centering", {}, split, 150, 150, changes=changes) for split in range(3)]
        change = pool_changes(name, trials, n_items=100)
        if name == "mixed_R@1":  # ranks change
            assert (1 - change.high) ** 100 == pytest.approx(0.025, rel=0.1)
            assert change.low == -change.high
            assert "100 held-out items" in change.note
            assert pool_changes(name, trials).high == pytest.approx(change.high / 3)
        elif name == "fairness":  # a ratio
            assert math.isnan(change.low)
            assert "no interval: no two of 100 held-out items" in change.note
        else:  # no score of retrieval changes
            assert (change.low, change.high) == (0, 0)
            assert "no width" in change.note

    @pytest.mark.filterwarnings("ignore:The rows of")
    def test_compare_of_a_correction_that_keeps_the_order_ignores_ties_by_rounding(
        self, rng: np.random.Generator
    ) -> None:
        """In float32, rows of a very narrow cone tie with the match by rounding. The correction computes in float64."""
        latent = rng.normal(size=(120, 12))
        rows = (1e-3 * (latent + 0.3 * rng.normal(size=latent.shape)) + np.eye(12)[axis] for axis in (0, 1))
        image, text = (values.astype(np.float32) for values in rows)
        changes = compare(Pairs(image=image, text=text), aligners=["ScoreStandardization"], splits=2).rows[1].changes
        for name in ("R@1", "MRR", "median_rank"):
            assert (changes[name].value, changes[name].low, changes[name].high) == (0, 0, 0), name
            assert "no width" in changes[name].note
        assert changes["same_modality_share"].value < 0

    @pytest.mark.filterwarnings("ignore:The rows match, but the modalities are rotated")
    def test_interval_of_repeated_rows_is_not_narrower(self, rng: np.random.Generator) -> None:
        x, y = rng.normal(size=(2, 60, 6)) + 1.0
        repeated = Pairs(image=np.repeat(x, 5, axis=0), text=np.repeat(y, 5, axis=0) + 0.01 * rng.normal(size=(300, 6)))
        widths = []
        for pairs in (Pairs(image=x, text=y), repeated):
            table = compare(pairs, aligners=["Centering"], tasks=["neighbours"], splits=1)
            change = table["Centering"].changes["NAS@10_x"]
            widths.append(change.high - change.low)
        width_of_independent_rows = widths[0] / math.sqrt(5)
        assert widths[1] > 1.5 * width_of_independent_rows


class TestArguments:
    def test_compare_task_without_labels_is_refused(self, pairs: Pairs) -> None:
        with pytest.raises(InputError, match="the task clustering needs labels"):
            compare(pairs, tasks=["clustering"])
        labelled = Pairs(image=pairs.x.read(0, 120), text=pairs.y.read(0, 120), labels=np.arange(120) % 2)
        other = Pairs(image=pairs.y.read(0, 120), text=pairs.x.read(0, 120))
        with pytest.raises(InputError, match="zero_shot needs class_texts=, or labels on the fitting pairs"):
            compare(labelled, fit=other, tasks=["zero_shot"])

    def test_compare_too_few_items_are_refused(
        self, make_clouds: Callable[..., Pairs], rng: np.random.Generator
    ) -> None:
        with pytest.raises(InputError, match="7 items are too few"):
            compare(make_clouds(rng, 7))
        assert compare(make_clouds(rng, 8), aligners=[], tasks=["retrieval"], splits=1).n_fit == 4

    @pytest.mark.filterwarnings("ignore:A row of image has .* near copies")
    def test_compare_too_few_different_rows_are_refused(self, rng: np.random.Generator) -> None:
        def repeated(n_different: int) -> Pairs:
            x = np.repeat(rng.normal(size=(n_different, 3)), 3, axis=0)
            return Pairs(image=x, text=rng.normal(size=x.shape))

        with pytest.raises(InputError, match="7 items are too few to fit on one half"):
            compare(repeated(7), aligners=[], tasks=["retrieval"])
        with pytest.raises(InputError, match="7 different items are too few, where equal rows are one item"):
            compare(repeated(7), aligners=[], tasks=["retrieval"], group=False)
        assert compare(repeated(8), aligners=[], tasks=["retrieval"], splits=1).n_fit == 12

    def test_compare_invalid_splits_and_names_are_refused(self, pairs: Pairs) -> None:
        with pytest.raises(InputError, match="splits=0, expected a whole number of 1 or more"):
            compare(pairs, splits=0)
        with pytest.raises(InputError, match="unknown aligner 'Centring'"):
            compare(pairs, aligners=["Centring"])


@pytest.mark.slow
def test_compare_real_pairs_has_the_documented_changes(clip_coco: Pairs) -> None:
    table = compare(clip_coco, aligners=[Centering(), MeanRotation(), HyperplaneRotation()], splits=4, rng=10)
    changes = {
        name: 100 * table[name].changes["R@1"].value for name in ("Centering", "MeanRotation", "HyperplaneRotation")
    }
    assert 100 * table["Identity"].scores["R@1"].value == pytest.approx(61.7, abs=1.5)
    assert changes["Centering"] == pytest.approx(-1.0, abs=1.5)
    assert changes["MeanRotation"] == pytest.approx(-25, abs=3)
    assert changes["HyperplaneRotation"] == pytest.approx(-29, abs=3)
    assert 100 * table["Centering"].scores["mixed_R@1"].value == pytest.approx(11, abs=2)
    assert table["Identity"].scores["same_modality_share"].value == pytest.approx(1, abs=0.005)


def test_comparison_judges_the_score_correction_that_auto_chose() -> None:
    pairs = isthmus.demo.load("collapsed", split="test")
    table = isthmus.compare(pairs, aligners=["Auto", "ScoreCalibration"], splits=1)
    scores = table["Auto"].scores
    assert scores["exchange_R@1"].value == table["ScoreCalibration"].scores["exchange_R@1"].value > 0.45
    assert "ScoreCalibration has the exchange score" in table["Auto"].notes[0]


def test_compare_of_modalities_called_y_and_x_gives_the_scores_of_other_names() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(60, 8)) + 2
    y = np.repeat(x, 4, axis=0) + rng.normal(size=(240, 8)) - 3
    options = {"index": np.repeat(np.arange(60), 4), "labels": np.repeat(np.arange(15), 4)}
    tasks = ["retrieval", "mixed_search", "two_sided_search", "within_modality_search"]
    aligners = ["ScoreCalibration", "CSLS", "ScoreStandardization"]
    tables = [
        isthmus.compare(Pairs(**{first: x, second: y}, **options), aligners=aligners, tasks=tasks).to_dict()
        for first, second in (("y", "x"), ("a", "b"))
    ]
    assert [row["scores"] for row in tables[0]["rows"]] == [row["scores"] for row in tables[1]["rows"]]


def test_compare_of_tensors_gives_the_changes_of_arrays(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    x = rng.normal(size=(80, 6))
    y = x + rng.normal(size=(80, 6)) + 1
    options = {"aligners": ["ScoreCalibration", "MeanRotation"], "tasks": ["retrieval", "mixed_search"], "splits": 2}
    of_arrays, of_tensors = (compare(to(x), to(y), **options).trials for to in (np.asarray, torch.tensor))
    assert any(trial.fit_effects for trial in of_arrays)
    for tensors, arrays in zip(of_tensors, of_arrays, strict=True):
        assert tensors.changes == arrays.changes
        assert tensors.fit_effects == arrays.fit_effects


def test_halves_of_one_corpus_that_share_no_rows_are_not_warned_of(rng: np.random.Generator) -> None:
    classes = np.r_[np.zeros(150, dtype=int), rng.integers(1, 30, 450)]
    centres = 3 * rng.normal(size=(30, 24))
    x, y = centres[classes] + rng.normal(size=(600, 24)), centres[classes] + 0.2 * rng.normal(size=(600, 24))
    y[:150] = centres[0]
    with pytest.warns(isthmus.IsthmusWarning) as caught:
        isthmus.compare(x, y, aligners=[isthmus.align.ScoreCalibration()], splits=1)
    messages = [str(warning.message) for warning in caught]
    assert any("rows are distinct" in message for message in messages)
    assert not any("unlike those of the fit" in message for message in messages)


def test_rows_of_a_split_are_forgotten_without_the_garbage_collector(pairs: Pairs) -> None:
    gc.collect()
    gc.disable()
    try:
        compare(pairs, aligners=[Centering(), ScoreCalibration()], splits=2)
        assert not [held for held in gc.get_objects() if type(held) is TestHalf]
    finally:
        gc.enable()

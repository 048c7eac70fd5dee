"""Interventions on the gap: what each changes, its result on runs whose truth is known, and on real pairs."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import isthmus
from isthmus import InputError, Pairs
from isthmus.cli import app
from isthmus.data.grouping import item_groups, pairs_of_items
from isthmus.evaluation import INTERVENTIONS, InterventionCurve, InterventionPoint, group_split, intervene
from isthmus.evaluation.interventions import partial_rotation
from isthmus.reporting.intervention_page import intervention_page
from isthmus.statistics.correlation import isotonic_r2, spearman
from isthmus.statistics.result import Estimate


@pytest.fixture(scope="module")
def collapsed() -> InterventionCurve:
    return intervene(isthmus.demo.load("collapsed", split="test"))


@pytest.fixture
def few_bootstraps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw few bootstrap samples where a test does not check intervals."""
    monkeypatch.setattr("isthmus.evaluation.interventions.BOOTSTRAPS", 20)


class TestInterventions:
    @pytest.mark.parametrize("name", ["translate", "rotate"])
    def test_translate_and_rotate_close_the_gap_at_constant_alignment(
        self, collapsed: InterventionCurve, name: str
    ) -> None:
        gaps = [point.gap for point in collapsed.curve(name)]
        assert gaps == sorted(gaps, reverse=True)
        assert gaps[-1] < 5
        alignments = [point.alignment for point in collapsed.curve(name)]
        assert alignments == pytest.approx([collapsed.raw.alignment] * 7, abs=0.01)

    def test_points_have_the_documented_strengths(self, collapsed: InterventionCurve) -> None:
        strengths = {name: [point.strength for point in collapsed.curve(name)] for name in INTERVENTIONS}
        shifts, shrinkages = [-0.5, -0.25, 0, 0.25, 0.5, 0.75, 1], [0, 0.2, 0.4, 0.6, 0.8, 0.9, 1]
        assert strengths == {
            "translate": shifts, "rotate": shifts, "collapse": shrinkages, "remove_unshared": shrinkages,
        }  # fmt: skip

    def test_gap_distance_is_that_of_the_means_of_the_test_half(self, collapsed: InterventionCurve) -> None:
        pairs = pairs_of_items(isthmus.demo.load("collapsed", split="test"))
        _, test_items = group_split(pairs, item_groups(pairs), rng=0)
        x, y = pairs.take(test_items).unit()
        distance = np.linalg.norm(x.mean(axis=0) - y.mean(axis=0))
        assert collapsed.raw.gap_distance_plugin == pytest.approx(distance, abs=1e-6)
        assert 0.9 * distance < collapsed.raw.gap_distance < distance

    @pytest.mark.usefixtures("few_bootstraps")
    def test_swapped_modalities_have_the_same_points_if_rows_repeat(self, rng: np.random.Generator) -> None:
        owner = np.repeat(np.arange(60), rng.integers(1, 5, 60))
        latent = rng.normal(size=(60, 80)) * np.linspace(2, 0.1, 80)
        images = latent + 1
        texts = latent[owner] + 0.3 * rng.normal(size=(len(owner), 80))
        pairs = Pairs(image=images, text=texts, index=owner), Pairs(text=texts, image=images[owner])
        with pytest.warns(isthmus.IsthmusWarning, match="rows are distinct"):
            indexed, flat = (intervene(p, interventions=["translate"]) for p in pairs)
        assert indexed.shared_dimensions == flat.shared_dimensions
        for first, second in zip(indexed.points, flat.points, strict=True):
            assert second.gap_distance == pytest.approx(first.gap_distance, abs=1e-6)
            assert second.alignment == pytest.approx(first.alignment, abs=1e-6)
            assert second.scores == pytest.approx(first.scores, abs=1e-6)

    def test_rotate_by_one_half_halves_the_angle(self, collapsed: InterventionCurve) -> None:
        half = next(point for point in collapsed.curve("rotate") if point.strength == 0.5)
        assert half.gap == pytest.approx(collapsed.raw.gap / 2, abs=0.5)

    @pytest.mark.parametrize(("name", "sign"), [("collapse", -1), ("remove_unshared", 1)])
    def test_collapse_and_remove_unshared_change_the_alignment_at_a_constant_gap(
        self, collapsed: InterventionCurve, name: str, sign: int
    ) -> None:
        points = collapsed.curve(name)
        assert [point.gap for point in points] == pytest.approx([collapsed.raw.gap] * 7, abs=0.5)
        assert sign * (points[-1].alignment - collapsed.raw.alignment) >= 0

    def test_collapse_at_full_strength_removes_the_shared_space(self, collapsed: InterventionCurve) -> None:
        assert collapsed.curve("collapse")[-1].alignment < 0.05

    def test_partial_rotation_turns_by_a_share_of_the_angle(self) -> None:
        turn = partial_rotation(np.eye(4)[0], np.array([0.0, 2.0, 0.0, 0.0]), 1 / 3)
        np.testing.assert_allclose(turn @ np.eye(4)[0], [math.cos(math.pi / 6), 0.5, 0, 0], atol=1e-12)
        np.testing.assert_allclose(turn @ turn.T, np.eye(4), atol=1e-12)

    def test_partial_rotation_of_parallel_vectors_is_the_identity(self) -> None:
        np.testing.assert_array_equal(partial_rotation(np.eye(3)[0], 2 * np.eye(3)[0], 0.5), np.eye(3))


class TestConclusions:
    def test_collapsed_run_recall_follows_alignment_and_mixed_search_the_gap(
        self, collapsed: InterventionCurve
    ) -> None:
        """The gap is a constant to the loss of this run."""
        recall, mixed = collapsed.explained["R@1"], collapsed.explained["mixed_NDCG@10"]
        assert collapsed.raw.gap == pytest.approx(60, abs=1.5)
        assert recall["curve_difference"].low > 0.5
        assert mixed["curve_difference"].high < -0.5
        curves = [round(100 * s[f"{n}_curve"].value) for s in (recall, mixed) for n in ("gap", "alignment")]
        assert curves == [5, 100, 100, 5]  # as in docs/reference/tasks.md
        assert abs(collapsed.curve("translate")[-1].scores["R@1"] - collapsed.raw.scores["R@1"]) < 0.02
        assert collapsed.curve("collapse")[-1].scores["R@1"] < 0.02
        assert collapsed.curve("rotate")[-1].scores["mixed_NDCG@10"] > 0.6

    def test_explained_statistics_equal_those_of_the_points(self, collapsed: InterventionCurve) -> None:
        estimates = collapsed.explained["R@1"]
        scores = np.array([point.scores["R@1"] for point in collapsed.points])
        gaps = np.array([point.gap for point in collapsed.points])
        alignments = np.array([point.alignment for point in collapsed.points])
        gap, alignment = spearman(gaps, scores), spearman(alignments, scores)
        gap_curve, alignment_curve = isotonic_r2(gaps, scores), isotonic_r2(alignments, scores)
        assert {name: estimate.value for name, estimate in estimates.items()} == pytest.approx(
            {
                "gap": gap,
                "alignment": alignment,
                "difference": abs(alignment) - abs(gap),
                "gap_curve": gap_curve,
                "alignment_curve": alignment_curve,
                "curve_difference": alignment_curve - gap_curve,
            }
        )

    def test_verdict_has_one_sentence_for_each_score(self, collapsed: InterventionCurve) -> None:
        recall, mixed, zero_shot = collapsed.verdict()
        assert recall.startswith("R@1 follows the alignment of the shared space more closely than the gap. A monotone")
        assert mixed.startswith("mixed_NDCG@10 follows the gap more closely than the alignment of the shared space")
        assert zero_shot.startswith("These interventions do not show whether zero_shot_accuracy follows the gap")

    def test_verdict_of_a_score_that_does_not_change_explains_nothing(self) -> None:
        raw = InterventionPoint("raw", 0, 60, 1, 0.5, {"R@1": 0.5})
        nothing = dict.fromkeys(("gap", "alignment", "curve_difference"), Estimate(math.nan))
        curve = InterventionCurve([raw], {"R@1": nothing}, "gap", 1, 10, 10, ("a", "b"))
        assert curve.verdict() == ["R@1 hardly changes over these interventions, so there is nothing to explain."]

    def test_verdict_of_nearly_equal_explanations_decides_for_neither(self) -> None:
        points = [InterventionPoint("raw", 0, 60, 1, 0.5, {"R@1": 0.5})]
        explained = {name: Estimate(0.99, 0.98, 1.0) for name in ("gap", "alignment", "gap_curve", "alignment_curve")}
        for value, start in ((0.04, "These interventions do not show"), (-0.06, "R@1 follows the gap")):
            explained["curve_difference"] = Estimate(value, value - 0.01, value + 0.01)
            curve = InterventionCurve(points, {"R@1": explained}, "gap", 1, 10, 10, ("a", "b"), {"interventions": []})
            assert curve.conclusions()[0].startswith(start)

    @pytest.mark.parametrize(("highest", "is_explained"), [(0.027, False), (0.031, True)])
    def test_verdict_of_recall_at_chance_explains_nothing(self, highest: float, is_explained: bool) -> None:
        """Three standard errors above chance, 1 in 100, are 0.0398 - or 0.0289 for 121 pairs."""
        points = [InterventionPoint("raw", 0, 60, 1, 0.5, {"R@1": 0.01})]
        points.append(InterventionPoint("rotate", 1.0, 2, 0.1, 0.5, {"R@1": highest}))
        explained = {name: Estimate(0.5, 0.2, 0.8) for name in ("gap", "alignment", "gap_curve", "alignment_curve")}
        explained["curve_difference"] = Estimate(0.7, 0.5, 0.9)
        settings = {"interventions": ["rotate"]}
        curve = InterventionCurve(points, {"R@1": explained}, "gap", 1, 121, 121, ("a", "b"), settings)
        reason = "R@1 is at chance at every strength (at most 2.7 %, chance 0.8 %)"
        assert (curve.verdict() == [f"{reason}, so there is nothing to explain."]) is not is_explained
        assert (curve.conclusions() == [f"{reason}."]) is not is_explained

    @pytest.mark.usefixtures("few_bootstraps")
    def test_intervene_with_an_undefined_angle_uses_the_distance(self, rng: np.random.Generator) -> None:
        owner = np.repeat(np.arange(80), 2)
        latent = rng.normal(size=(80, 6))
        latent -= latent.mean(axis=0)
        x, y = latent + 0.2 * rng.normal(size=(80, 6)), latent[owner] + 0.2 * rng.normal(size=(160, 6))
        pairs = Pairs(image=x, text=y, index=owner)
        curve = intervene(pairs, interventions=["translate"])
        assert (curve.n_fit, curve.n_test, curve.gap_measure) == (80, 80, "gap_distance")
        assert list(curve.explained) == ["R@1", "mixed_NDCG@10"]
        assert intervene(pairs, interventions=["translate"]).to_json() == curve.to_json()


class TestArguments:
    @pytest.fixture
    def pairs(self, rng: np.random.Generator) -> Pairs:
        latent = rng.normal(size=(60, 4))
        return Pairs(image=latent + 0.1 * rng.normal(size=(60, 4)), text=latent + 1)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"interventions": ["translat"]}, "unknown intervention 'translat': did you mean 'translate'"),
            ({"interventions": []}, "no intervention was named"),
            ({"shared": 5}, "shared=5, expected 1 to 4 directions"),
            ({"sample": 99}, "sample=99: expected 100 items or more"),
            ({"shared": 0}, "shared=0, expected a whole number of 1 or more"),
        ],
    )
    def test_intervene_invalid_arguments_are_refused(self, pairs: Pairs, options: dict[str, Any], message: str) -> None:
        with pytest.raises(InputError, match=message):
            intervene(pairs, **options)

    @pytest.mark.usefixtures("few_bootstraps")
    def test_intervene_too_few_items_are_refused(self, pairs: Pairs) -> None:
        with pytest.raises(InputError, match="39 items are too few"):
            intervene(pairs.take(np.arange(39)))
        assert intervene(pairs.take(np.arange(40)), interventions=["translate"], shared=1).n_fit == 20

    @pytest.mark.usefixtures("few_bootstraps")
    def test_intervene_more_items_than_the_limit_are_sampled_and_the_sample_is_stated(
        self, pairs: Pairs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr("isthmus.evaluation.interventions.MAX_ITEMS", 50)
        curve = intervene(pairs, interventions=["translate"], shared=1)
        assert (curve.n_fit, curve.settings["sample"]) == (25, "a random sample of 50 of 60 items")
        intervention_page(curve, tmp_path / "page.html")
        assert curve.settings["sample"] in (tmp_path / "page.html").read_text(encoding="utf-8")
        names = [str(tmp_path / f"{name}.npy") for name in pairs.names]
        for name, rows in zip(names, (pairs.x, pairs.y), strict=True):
            np.save(name, rows.read(0, 60))
        result = CliRunner().invoke(app, ["intervene", *names, "--interventions", "translate", "--shared", "1"])
        assert "On a random sample of 50 of 60 items (--sample)." in result.output

    @pytest.mark.usefixtures("few_bootstraps")
    def test_intervene_with_sample_takes_so_many_items(self, rng: np.random.Generator, tmp_path: Path) -> None:
        latent = rng.normal(size=(140, 4))
        names = [str(tmp_path / name) for name in ("image.npy", "text.npy")]
        for name, offset in zip(names, (0, 1), strict=True):
            np.save(name, latent + 0.1 * rng.normal(size=(140, 4)) + offset)
        options = ["--interventions", "translate", "--shared", "1", "--json"]
        content = json.loads(CliRunner().invoke(app, ["intervene", *names, *options, "--sample", "100"]).stdout)
        assert (content["n_fit"], content["n_test"]) == (50, 50)
        assert content["settings"]["sample"] == "a random sample of 100 of 140 items"
        content = json.loads(CliRunner().invoke(app, ["intervene", *names, *options]).stdout)
        assert (content["n_fit"] + content["n_test"], content["settings"]["sample"]) == (140, "")

    @pytest.mark.usefixtures("few_bootstraps")
    def test_intervene_calls_progress_after_each_step(self, pairs: Pairs) -> None:
        calls: list[tuple[int, int, str]] = []
        intervene(pairs, interventions=["rotate"], shared=2, progress=lambda *call: calls.append(call))
        assert calls == [(i, 7, "raw" if i == 1 else "rotate") for i in range(1, 8)]

    def test_curve_of_an_unknown_intervention_is_refused(self, collapsed: InterventionCurve) -> None:
        with pytest.raises(InputError, match="unknown intervention 'rotates': did you mean 'rotate'"):
            collapsed.curve("rotates")


class TestFiles:
    def test_intervention_page_shows_figure_and_definitions(self, collapsed: InterventionCurve, tmp_path: Path) -> None:
        intervention_page(collapsed, tmp_path / "page.html")
        text = (tmp_path / "page.html").read_text(encoding="utf-8")
        assert text.count("<svg") == 1
        assert "currentColor" in text
        assert all(name in text for name in INTERVENTIONS)

    def test_save_with_a_csv_name_writes_the_points(self, collapsed: InterventionCurve, tmp_path: Path) -> None:
        collapsed.save(tmp_path / "points.csv")
        lines = list(csv.DictReader(io.StringIO((tmp_path / "points.csv").read_text(encoding="utf-8"))))
        assert len(lines) == len(collapsed.points) == 25
        assert lines[-1]["intervention"] == "remove_unshared"
        assert float(lines[-1]["strength"]) == 1
        assert float(lines[-1]["R@1"]) == collapsed.points[-1].scores["R@1"]


class TestCommandLine:
    @pytest.fixture
    def arguments(self, tmp_path: Path) -> list[str]:
        image, text = isthmus.demo.export(tmp_path, "collapsed", split="test")[:2]
        np.save(tmp_path / "labels.npy", isthmus.demo.load("collapsed", split="test").labels)
        return ["intervene", str(image), str(text), "--labels", str(tmp_path / "labels.npy")]

    @pytest.mark.usefixtures("few_bootstraps")
    def test_intervene_prints_json_and_writes_files(
        self, arguments: list[str], collapsed: InterventionCurve, tmp_path: Path
    ) -> None:
        outputs = [str(tmp_path / name) for name in ("curve.svg", "curve.json")]
        options = ["--interventions", "translate", "--json", "-o", outputs[0], "--output", outputs[1]]
        result = CliRunner().invoke(app, [*arguments, *options])
        assert result.exit_code == 0, result.output
        printed = json.loads(result.stdout)
        assert printed["explained"].keys() == collapsed.explained.keys()
        assert Path(outputs[0]).read_text(encoding="utf-8").startswith("<svg")
        assert json.loads(Path(outputs[1]).read_text(encoding="utf-8")) == printed
        pairs = isthmus.open_pairs(*arguments[1:3], labels=np.load(arguments[4]))  # captions of the demo repeat
        curve = intervene(pairs, interventions=["translate"]).curve("translate")
        expected = [{"intervention": p.intervention, "strength": p.strength, **p.scores} for p in curve]
        points = sorted(printed["points"], key=lambda point: point["strength"])
        assert [{key: point[key] for key in expected[0]} for point in points] == expected

    def test_intervene_with_another_suffix_is_refused(self, arguments: list[str]) -> None:
        result = CliRunner().invoke(app, [*arguments, "-o", "x.png"])
        assert "an intervention is written as .html, .svg, .json, .csv, .md or .tex" in str(result.exception)


@pytest.mark.slow
@pytest.mark.usefixtures("few_bootstraps")
def test_intervene_real_pairs_has_the_documented_numbers(clip_coco: Pairs) -> None:
    """The numbers of docs/reference/tasks.md."""
    curve = intervene(clip_coco)
    shares = {
        score: [round(100 * curve.explained[score][f"{name}_curve"].value) for name in ("gap", "alignment")]
        for score in ("R@1", "mixed_NDCG@10")
    }
    assert shares == {"R@1": [6, 82], "mixed_NDCG@10": [100, 7]}
    ends = {name: curve.curve(name)[-1] for name in INTERVENTIONS}
    assert curve.raw.scores["R@1"] == pytest.approx(0.644)
    assert [ends[name].scores["R@1"] for name in ("translate", "rotate", "remove_unshared")] == pytest.approx(
        [0.448, 0.398, 0.452]
    )
    assert ends["translate"].scores["mixed_NDCG@10"] == pytest.approx(0.322, abs=5e-4)
    assert (curve.raw.alignment, ends["remove_unshared"].alignment) == pytest.approx((0.299, 0.588), abs=1e-3)

"""Evaluation of the study on synthetic runs: claims, links, statistics, journal, page and verb."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from typer.testing import CliRunner

import isthmus.studies.training.causal_links as causal_links_module
from isthmus import InputError
from isthmus.cli import app
from isthmus.studies.training import (
    Setting,
    StudyResult,
    TrainingRun,
    grid,
    run_study,
    runner,
    write_page,
)
from isthmus.studies.training.causal_links import causal_links, evaluate_link
from isthmus.studies.training.claims import evaluate_claims
from isthmus.studies.training.objectives import TEMPERATURES, loss_names
from isthmus.studies.training.seed_statistics import (
    bootstrap_over_seeds,
    mean_over_seeds,
    paired_difference,
)
from isthmus.train import registry
from isthmus.utils.progress import listening


def make_run(setting: Setting, **end: float | None) -> TrainingRun:
    base: dict[str, float | None] = {
        name: 0.5
        for name in (
            "gap_distance", "length_image", "length_text", "cosine", "ceiling", "alignment", "centre_in_shared", "R@1",
            "effective_rank_image", "effective_rank_text", "budget_centre", "budget_orientation", "mixed_R@1",
            "mixed_NDCG@10", "zero_shot_accuracy", "imposed_ceiling",
        )
    }  # fmt: skip
    points = [{"epoch": epoch, "gap": 30.0, **base, **end} for epoch in (0.0, 60.0)]
    return TrainingRun(setting, points, 1.0, 1.0)


def collapse_runs(
    gap: Callable[[float], float | None], regime: str = "mean_length_penalty", inside: float = 0.0, **options: Any
) -> list[TrainingRun]:
    return [
        make_run(
            Setting(regime=regime, rank=8, angle=angle, seed=seed, **{"temperature": "learned", **options}),
            gap=gap(angle),
            centre_in_shared=inside,
        )
        for angle in (30.0, 60.0, 90.0)
        for seed in range(3)
    ]


def test_evaluate_claims_with_known_gaps_returns_expected_verdicts() -> None:
    def verdict(runs: list[TrainingRun]) -> list[str]:
        return [claim.verdict for claim in evaluate_claims(runs)]

    assert verdict(collapse_runs(lambda angle: angle)) == ["holds"]
    assert verdict(collapse_runs(lambda angle: 180 - angle)) == ["holds"]  # the theory's tie
    assert verdict(collapse_runs(lambda angle: angle, inside=0.9)) == ["does not hold"]
    assert verdict(collapse_runs(lambda angle: 30.0)) == ["holds in part"]
    assert verdict(collapse_runs(lambda angle: 29.0, inside=0.9)) == ["does not hold"]
    assert verdict(collapse_runs(lambda angle: None, "subspace")) == ["holds"]
    assert verdict(collapse_runs(lambda angle: 40.0, "subspace")) == ["does not hold"]
    assert verdict(collapse_runs(lambda angle: 29.0, "subspace", temperature="0.01")) == ["holds"]
    assert verdict(collapse_runs(lambda angle: angle, "subspace", temperature="0.01")) == ["does not hold"]
    assert verdict(collapse_runs(lambda angle: angle + 0.4, "affine")) == ["holds", "holds"]
    assert verdict(collapse_runs(lambda angle: angle + 0.6, "affine")) == ["does not hold", "holds"]
    assert verdict(collapse_runs(lambda angle: None, "affine")) == ["does not hold", "holds"]
    # On both sides of the tolerances: 5 degrees, a fraction of 0.05, and half a degree of gap per degree of angle.
    assert verdict(collapse_runs(lambda angle: angle + 4.9, inside=0.049)) == ["holds"]
    assert verdict(collapse_runs(lambda angle: angle + 5.1)) == ["does not hold"]
    assert verdict(collapse_runs(lambda angle: angle, inside=0.051)) == ["does not hold"]
    assert verdict(collapse_runs(lambda angle: 0.49 * angle, "subspace", temperature="0.01")) == ["holds"]
    assert verdict(collapse_runs(lambda angle: 0.51 * angle, "subspace", temperature="0.01")) == ["does not hold"]


@pytest.mark.parametrize(
    ("loss_range", "recall_range", "verdict"),
    [(9e-4, 0.0, "holds"), (1.1e-3, 0.0, "does not hold"), (0.0, 0.0049, "holds"), (0.0, 0.0051, "does not hold")],
)
def test_affine_claim_with_range_over_angles_compares_it_with_the_tolerance(
    loss_range: float, recall_range: float, verdict: str
) -> None:
    runs = [
        replace(run, loss=1 + loss_range * (run.setting.angle == 90), curve=[{**run.end, "R@1": recall}])
        for run in collapse_runs(lambda angle: angle, "affine")
        for recall in (0.5 + recall_range * (run.setting.angle == 90),)
    ]
    assert evaluate_claims(runs)[1].verdict == verdict


def test_mean_over_seeds_has_students_interval() -> None:
    from scipy import stats

    values = [0.3, 0.5, 0.45, 0.2]
    estimate = mean_over_seeds([*values, None])
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((np.mean(values), low, high))
    assert estimate.note == "undefined in 1 of 5 runs"
    assert mean_over_seeds([None, None, 1.0]).undefined == "undefined in 2 of 3 runs"
    assert np.isnan(mean_over_seeds([1.0]).low)


def test_paired_difference_with_unordered_runs_pairs_by_seed() -> None:
    base = [make_run(Setting(seed=seed), **{"R@1": 0.1 * seed}) for seed in range(4)]
    runs = [make_run(Setting(weight=1.0, seed=seed), **{"R@1": 0.1 * seed + 0.02}) for seed in (3, 1, 2, 0)]
    estimate = paired_difference(runs, base, "R@1")
    assert estimate.value == pytest.approx(0.02)
    assert estimate.high - estimate.low < 1e-9
    assert paired_difference(runs, base[:1], "R@1").undefined == "undefined in 3 of 4 runs"


def bootstrap_samples(table: np.ndarray, seeds: list[int]) -> list[np.ndarray]:
    samples: list[np.ndarray] = []
    bootstrap_over_seeds(table, seeds, lambda rows: samples.append(rows) or 0.0, draws=20)
    return samples


def test_bootstrap_over_seeds_keeps_the_rows_of_a_seed_together() -> None:
    seeds = [seed for seed in range(6) for _ in range(2)]
    table = np.array(seeds, dtype=float)[:, None]
    estimate = bootstrap_over_seeds(table, seeds, lambda rows: float(rows.mean()))
    assert estimate.value == 2.5
    assert estimate.low < 2.0 < 3.0 < estimate.high
    samples = bootstrap_samples(table, seeds)
    parities = {tuple(np.bincount(rows[:, 0].astype(int), minlength=6) % 2) for rows in samples}
    assert parities == {(0,) * 6}  # both rows of a seed, or none
    assert any(len(set(rows[:, 0])) < 6 for rows in samples)  # seeds are drawn with replacement
    assert np.isnan(bootstrap_over_seeds(table, seeds, lambda rows: float("nan")).value)


def test_evaluate_link_with_known_ranks_returns_expected_verdicts() -> None:
    runs = [
        make_run(Setting(seed=seed), gap_distance=0.1 * i, cosine=1 - 0.1 * i, alignment=(7 * i) % 5 / 5)
        for i in range(8)
        for seed in range(3)
    ]
    falls = evaluate_link("all", runs, "gap_distance", "cosine", sign=-1)
    assert (falls.verdict, falls.correlation.value, falls.share.value) == ("holds", -1, 1)
    assert evaluate_link("all", runs, "gap_distance", "cosine").verdict == "does not hold"
    assert abs(evaluate_link("all", runs, "alignment", "cosine").correlation.value) < 0.5
    assert evaluate_link("all", runs[:3], "cosine", "alignment").verdict == "cannot tell"
    assert evaluate_link("all", runs, "cosine", "R@1").verdict == "cannot tell"  # R@1 never changes


def test_causal_links_with_two_groups_of_runs_tests_the_chain_in_both() -> None:
    runs = [make_run(Setting(seed=seed), gap_distance=0.1 * i) for i in range(8) for seed in range(3)]
    links = causal_links(collapse_runs(lambda angle: angle), runs)
    assert {link.among for link in links} == {
        "two subspaces, mean length imposed", "nothing imposed: losses, temperatures, other causes",
    }  # fmt: skip
    assert next(link for link in links if link.cause == "angle").verdict == "holds"


def test_evaluate_link_with_few_runs_cannot_tell() -> None:
    runs = [make_run(Setting(seed=seed), gap_distance=0.1 * seed, cosine=0.2 * seed) for seed in range(4)]
    assert evaluate_link("all", runs, "gap_distance", "cosine").verdict == "holds"
    assert evaluate_link("all", runs[:3], "gap_distance", "cosine").verdict == "cannot tell"


@pytest.mark.parametrize(("correlation", "verdict"), [(0.49, "does not hold"), (0.51, "holds")])
def test_evaluate_link_near_the_threshold_compares_the_interval_with_it(
    correlation: float, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(causal_links_module, "spearman", lambda a, b: correlation)
    runs = [make_run(Setting(seed=seed), gap_distance=0.1 * seed) for seed in range(6)]
    assert evaluate_link("all", runs, "gap_distance", "cosine").verdict == verdict


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> list[Setting]:
    """Replace the grid by few settings with synthetic trainings. Return the list of trained settings."""
    trained_settings: list[Setting] = []

    def fake(setting: Setting, *, progress: Callable[[int], None]) -> TrainingRun:
        progress(1)
        trained_settings.append(setting)
        generator = np.random.default_rng([setting.seed, len(setting.key)])
        numbers = {name: float(generator.random()) for name in ("R@1", "cosine", "alignment", "gap_distance")}
        return make_run(setting, **numbers)

    def few_settings(quick: bool) -> Iterator[Setting]:
        yield Setting(temperature="learned")
        yield Setting(temperature="0.01")

    monkeypatch.setattr(runner, "train_setting", fake)
    monkeypatch.setitem(grid.PARTS, "losses", (few_settings, 1))
    monkeypatch.setitem(grid.PARTS, "alternatives", (few_settings, 1))
    return trained_settings


def test_run_study_after_interruption_resumes_from_the_journal(tiny: list[Setting], tmp_path: Path) -> None:
    def stop(done: int, total: int, name: str) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study(["losses"], seeds=2, journal=tmp_path / "j.jsonl", progress=stop)
    assert len(tiny) == 3
    with (tmp_path / "j.jsonl").open("a") as file:
        file.write('{"setting": {"se')  # a line of a killed run
    stages: list[tuple[int, int | None, str]] = []
    with listening(lambda done, total, stage, _: stages.append((done, total, stage))):
        runs = run_study(["losses", "alternatives"], seeds=2, journal=tmp_path / "j.jsonl")
    assert len(tiny) == 4  # one setting remained, and settings of two parts are trained once
    epochs = tiny[-1].epochs  # those of settings in the journal do not count
    assert stages == [(0, epochs, "training for losses"), (1, epochs, "training for losses")]
    assert [run.setting.seed for run in runs["losses"]] == [0, 0, 1, 1]
    assert runs["losses"] == run_study(["losses"], seeds=2)["losses"]
    (tmp_path / "notes").write_text("hello\n")
    with pytest.raises(InputError, match="is no journal of isthmus train demo"):
        run_study(["losses"], seeds=2, journal=tmp_path / "notes")
    with pytest.raises(InputError, match="unknown part 'loses': did you mean 'losses'"):
        run_study(["loses"])
    with pytest.raises(InputError, match="seeds=1, expected at least 2"):
        run_study(["losses"], seeds=1)


def test_train_demo_verb_writes_page_and_json(tiny: list[Setting], tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    run = ["train", "demo", "-o", str(out), "--seeds", "3"]
    finished = CliRunner().invoke(app, run, catch_exceptions=False)
    assert finished.exit_code == 0
    assert "largest deviation" in finished.output
    assert "60.00°" in finished.output
    assert f"Page: {out / 'train.html'}" in finished.output.replace("\n", "")
    html = (out / "train.html").read_text(encoding="utf-8")
    assert html.count("<svg") == 5
    assert "http://" not in html.replace("http://www.w3.org", "")
    assert "https://" not in html
    assert "src=" not in html
    saved = json.loads((out / "train.json").read_text())
    assert {part for part, runs in saved["runs"].items() if runs} == set(grid.PARTS)
    assert len(saved["shared"]) == 6
    n_trained = len(tiny)
    again = CliRunner().invoke(app, [*run, "--part", "shared_space", "--json"], catch_exceptions=False)
    assert json.loads(again.output)["runs"] == {"shared_space": saved["runs"]["shared_space"]}
    assert len(tiny) == n_trained


def test_train_demo_verb_with_file_as_folder_or_unknown_part_raises(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="is a file, expected a folder"):
        CliRunner().invoke(app, ["train", "demo", "-o", str(tmp_path / "taken")], catch_exceptions=False)
    with pytest.raises(InputError, match="unknown part 'loses'"):
        CliRunner().invoke(app, ["train", "demo", "-o", str(tmp_path / "n"), "--part", "loses"], catch_exceptions=False)
    assert not (tmp_path / "n").exists()


def test_grid_contains_the_documented_settings() -> None:
    settings = {part: list(make(False)) for part, (make, _) in grid.PARTS.items()}
    affine = {s.angle for s in settings["collapse"] if s.regime == "affine"}
    assert affine >= {15.0, 30.0, 45.0, 60.0, 75.0}
    trained = {(s.loss, s.temperature) for s in settings["losses"]}
    assert trained >= {(loss, temperature) for loss in loss_names() for temperature in ("0.01", "learned", "0.2")}
    assert {name.partition(" ")[0] for name in loss_names()} == set(registry())
    assert {temperature for loss, temperature in trained if loss == "InfoNCE"} == set(TEMPERATURES)
    assert len(trained) == len(settings["losses"])
    assert {s.epochs for s in settings["collapse"] if s.regime == "mean_length_penalty"} == {60, 240}
    assert grid.PARTS["shared_space"][1] == 2  # ten seeds by default
    assert len(set(settings["alternatives"])) == len(settings["alternatives"])


def test_write_page_with_one_part_omits_the_others(tmp_path: Path) -> None:
    runs = collapse_runs(lambda angle: angle + 1)
    write_page(StudyResult({"collapse": runs}), tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Imposed collapse against the theory" in text
    assert "Losses and temperatures" not in text

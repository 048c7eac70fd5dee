"""The causal experiment: its encoders, its switches, its statistics, its page."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from typer.testing import CliRunner  # noqa: E402

from isthmus import InputError  # noqa: E402
from isthmus.cli import app  # noqa: E402
from isthmus.linalg.subspaces import principal_angles  # noqa: E402
from isthmus.studies import demo_training as demo  # noqa: E402
from isthmus.studies.training import Run, Setting, StudyResult, collect, grid, train, trainer, write_page  # noqa: E402
from isthmus.studies.training.causal_links import causal_links, link  # noqa: E402
from isthmus.studies.training.claims import evaluate_claims  # noqa: E402
from isthmus.studies.training.encoders import DualEncoder  # noqa: E402
from isthmus.studies.training.objectives import TEMPERATURES, Objective, objectives  # noqa: E402
from isthmus.studies.training.seed_statistics import bootstrap, mean_over_seeds, paired  # noqa: E402
from isthmus.train import registry  # noqa: E402

#: The module; the package has the function of that name.
collecting = importlib.import_module("isthmus.studies.training.collect")


def features(setting: Setting) -> tuple[np.ndarray, np.ndarray, DualEncoder]:
    data = trainer.digits(0)
    encoder = DualEncoder(setting)
    with torch.no_grad():
        x, y = encoder(data.pictures[:300], data.captions[:300])
    return x.double().numpy(), y.double().numpy(), encoder


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"regime": "afine"}, "unknown regime 'afine': did you mean 'affine'"),
        ({"regime": "affine"}, "a rank is given if and only if one is imposed"),
        ({"rank": 4}, "a rank is given if and only if one is imposed"),
        ({"regime": "subspace", "rank": 64}, "rank 64, expected 2 to 63 of 64 dimensions"),
        ({"regime": "affine", "rank": 63}, "rank 63, expected 2 to 62"),
        ({"regime": "subspace", "rank": 4, "angle": 200.0}, "angle 200, expected 0 to 180"),
        ({"shuffled_fraction": 1.5}, "shuffled_fraction=1.5, expected a share"),
        ({"caption_dropout": 5}, "caption_dropout=5, expected 0 to 4 attributes"),
    ],
)
def test_settings_that_make_no_sense(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Setting(**options)


def test_a_setting_is_named_by_what_it_changes() -> None:
    assert json.loads(Setting(temperature="0.2", seed=3).key) == {"temperature": "0.2", "seed": 3}
    assert Setting().key == "{}"


@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0])
def test_subspaces_share_all_directions_but_one(angle: float) -> None:
    x, y, encoder = features(Setting(regime="subspace", rank=5, angle=angle))
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1, atol=1e-5)
    bases = [np.linalg.svd(side, full_matrices=False)[2][:5].T for side in (x, y)]
    for side in (x, y):
        assert np.linalg.svd(side, compute_uv=False)[5] < 1e-4
    angles = np.sort(principal_angles(*bases).degrees)
    np.testing.assert_allclose(angles, [0, 0, 0, 0, angle], atol=0.05)
    assert encoder.shared is not None
    np.testing.assert_allclose(encoder.shared @ encoder.axes.T, 0, atol=1e-12)


def test_the_affine_rows_are_a_fixed_axis_and_a_shared_part() -> None:
    x, y, encoder = features(Setting(regime="affine", rank=6, angle=40.0))
    for side, axis in zip((x, y), encoder.axes, strict=True):
        np.testing.assert_allclose(np.linalg.norm(side, axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(side @ axis, np.sqrt(1 - 0.49), atol=1e-5)
        part = side - np.sqrt(1 - 0.49) * axis
        np.testing.assert_allclose(part, part @ encoder.shared.T @ encoder.shared, atol=1e-5)
    assert np.degrees(np.arccos(encoder.axes[0] @ encoder.axes[1])) == pytest.approx(40)


def test_the_penalty_misses_the_prescribed_length() -> None:
    x, y, encoder = features(Setting(regime="mean_length_penalty", rank=6, angle=40.0))
    lengths = [np.sqrt(sum(float(c) ** 2 for c in side.mean(0))) for side in (x, y)]
    slow = 10 * sum((length - 0.5) ** 2 for length in lengths)
    assert float(encoder.penalty(torch.tensor(x), torch.tensor(y))) == pytest.approx(slow)
    assert float(features(Setting())[2].penalty(torch.tensor(x), torch.tensor(y))) == 0


@pytest.mark.parametrize("initial_cone_angle", [0.0, 90.0, 180.0])
def test_narrow_cones_start_where_they_are_asked_to(initial_cone_angle: float) -> None:
    x, y, _ = features(Setting(initial_cone_angle=initial_cone_angle))
    a, b = x.mean(0), y.mean(0)
    lengths = np.linalg.norm(a), np.linalg.norm(b)
    assert min(lengths) > 0.98
    assert np.degrees(np.arccos(a @ b / lengths[0] / lengths[1])) == pytest.approx(initial_cone_angle, abs=6)


def test_mismatched_captions_are_dealt_out_anew() -> None:
    rows = trainer.digits(0).train
    partners = trainer._partners(Setting(shuffled_fraction=0.25), rows)
    assert sorted(partners) == sorted(rows)
    assert np.count_nonzero(partners != rows) == 300
    np.testing.assert_array_equal(trainer._partners(Setting(), rows), rows)


def test_captions_that_drop_attributes_say_less() -> None:
    whole, fewer, least = (trainer.digits(0, dropped).captions for dropped in (0, 2, 4))
    kinds = [len(torch.unique(captions, dim=0)) for captions in (whole, fewer, least)]
    assert kinds[0] > kinds[1] > kinds[2]
    assert kinds[2] == 80  # ten digits, eight templates


def test_every_loss_and_temperature_can_be_trained() -> None:
    x, y = torch.nn.functional.normalize(torch.randn(2, 16, 64), dim=-1).requires_grad_()
    for name in objectives():
        Objective(Setting(loss=name), steps=10)(x, y).backward(retain_graph=True)
    alike = Objective(Setting(loss="IntraModalitySeparation"), steps=10)
    same = torch.ones(16, 1)  # all items mean the same: no row is pushed, so that each term is that of equal logits
    separation = alike.loss(x, y, alike.scale(), semantic_features=same, output_dict=True)["intra_modality_loss"]
    own = (alike.scale() * (x * y).sum(1)).detach()
    assert separation.item() == pytest.approx(0.5 * float(torch.log1p(15 * torch.exp(-own)).mean()), rel=1e-4)
    assert alike(x, y, same).item() != pytest.approx(alike(x, y).item(), rel=1e-3)
    for temperature in ("0.01", "learned", "softplus", "rising", "slow"):
        objective = Objective(Setting(temperature=temperature), steps=4)
        start = objective.now
        for _ in range(4):
            objective.step()
        assert (start, objective.now) == pytest.approx(
            {"0.01": (0.01, 0.01), "rising": (0.01, 0.05)}.get(temperature, (0.07, 0.07))
        )
    assert Objective(Setting(loss="Sigmoid"), steps=1).bias.item() == -10
    relative = Objective(Setting(loss="Sigmoid (relative bias)"), steps=1)
    assert relative.bias.item() == pytest.approx(0.7)  # -10 + x.y / 0.07 = (x.y - 0.7) / 0.07
    with pytest.raises(InputError, match="unknown temperature 'lerned': did you mean 'learned'"):
        Objective(Setting(temperature="lerned"), steps=1)
    with pytest.raises(InputError, match="unknown loss"):
        Objective(Setting(loss="InfoNC3"), steps=1)


def test_training_is_that_of_the_demonstration_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "EPOCHS", 3)
    loaded = demo.load_digits()
    rows = demo.train_run(demo.RECIPES["plain"], loaded)
    x, y = (rows[side][~loaded.train] for side in ("image", "text"))
    run = train(Setting(temperature="0.01", epochs=3))
    assert run.end["length_image"] == pytest.approx(np.linalg.norm(x.mean(0)), abs=2e-4)
    assert run.end["cosine"] == pytest.approx(float((x * y).sum(1).mean()), abs=2e-3)
    scores = x @ y.T
    own = np.diag(scores)
    first = [np.mean((s >= own[:, None]).sum(1) == 1) for s in (scores, scores.T)]
    assert run.end["R@1"] == pytest.approx(np.mean(first), abs=0.004)
    assert run.curve[0]["epoch"] == 0
    assert run.end["cosine"] <= run.end["ceiling"] + 1e-9


def test_captions_say_which_items_mean_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    forward = Objective.forward

    def noted(self: Objective, x: Any, y: Any, meanings: Any = None) -> Any:
        asked.append(meanings)
        return forward(self, x, y, meanings)

    monkeypatch.setattr(Objective, "forward", noted)
    train(Setting(loss="IntraModalitySeparation", shuffled_fraction=0.5, epochs=1))
    captions = torch.cat(asked)
    assert captions.shape == (1200, 128)
    data = trainer.digits(0)
    found, every = (rows.numpy()[np.lexsort(rows.numpy().T)] for rows in (captions, data.captions[data.train]))
    np.testing.assert_array_equal(found, every)
    torch.testing.assert_close(captions.norm(dim=1), torch.ones(1200))


def test_in_the_affine_regime_the_gap_is_the_angle_and_the_loss_does_not_see_it() -> None:
    runs = [train(Setting(regime="affine", rank=16, angle=angle, epochs=30)) for angle in (15.0, 75.0)]
    for run in runs:
        assert run.end["gap"] == pytest.approx(run.setting.angle, abs=0.5)
        assert run.end["cosine"] <= run.end["imposed_ceiling"]
    assert runs[0].loss == pytest.approx(runs[1].loss, abs=1e-5)
    assert runs[0].end["R@1"] == runs[1].end["R@1"]
    found = {s.statement: s.verdict for s in evaluate_claims(runs)}
    assert found["the loss does not see the angle, and neither does recall"] == "holds"


# What follows is computed on made-up runs.


def made(setting: Setting, **end: float | None) -> Run:
    base: dict[str, float | None] = {
        name: 0.5
        for name in (
            "gap_distance", "length_image", "length_text", "cosine", "ceiling", "alignment", "centre_in_shared", "R@1",
            "effective_rank_image", "effective_rank_text", "budget_centre", "budget_orientation", "mixed_R@1",
            "mixed_NDCG@10", "zero_shot_accuracy", "imposed_ceiling",
        )
    }  # fmt: skip
    points = [{"epoch": epoch, "gap": 30.0, **base, **end} for epoch in (0.0, 60.0)]
    return Run(setting, points, 1.0, 1.0)


def dose(
    gap: Callable[[float], float | None], regime: str = "mean_length_penalty", inside: float = 0.0, **options: Any
) -> list[Run]:
    return [
        made(
            Setting(regime=regime, rank=8, angle=angle, temperature="learned", seed=seed, **options),
            gap=gap(angle),
            centre_in_shared=inside,
        )
        for angle in (30.0, 60.0, 90.0)
        for seed in range(3)
    ]


def test_statements_are_judged() -> None:
    def verdict(runs: list[Run]) -> list[str]:
        return [s.verdict for s in evaluate_claims(runs)]

    assert verdict(dose(lambda angle: angle)) == ["holds"]
    assert verdict(dose(lambda angle: 180 - angle)) == ["holds"]  # the theory's tie
    assert verdict(dose(lambda angle: angle, inside=0.9)) == ["does not hold"]
    assert verdict(dose(lambda angle: 30.0)) == ["holds in part"]
    assert verdict(dose(lambda angle: 29.0, inside=0.9)) == ["does not hold"]
    assert verdict(dose(lambda angle: None, "subspace")) == ["holds"]
    assert verdict(dose(lambda angle: 40.0, "subspace")) == ["does not hold"]
    fixed = [replace(run, setting=replace(run.setting, temperature="0.01")) for run in dose(lambda a: 29.0, "subspace")]
    assert verdict(fixed) == ["holds"]
    moving = [replace(run, setting=replace(run.setting, temperature="0.01")) for run in dose(lambda a: a, "subspace")]
    assert verdict(moving) == ["does not hold"]
    assert verdict(dose(lambda angle: angle + 0.4, "affine")) == ["holds", "holds"]
    assert verdict(dose(lambda angle: angle + 0.6, "affine")) == ["does not hold", "holds"]
    assert verdict(dose(lambda angle: None, "affine")) == ["does not hold", "holds"]


def test_means_over_seeds_have_students_interval() -> None:
    from scipy import stats

    values = [0.3, 0.5, 0.45, 0.2]
    found = mean_over_seeds([*values, None])
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert (found.value, found.low, found.high) == pytest.approx((np.mean(values), low, high))
    assert found.note == "undefined in 1 of 5 runs"
    assert mean_over_seeds([None, None, 1.0]).undefined == "undefined in 2 of 3 runs"
    assert np.isnan(mean_over_seeds([1.0]).low)


def test_differences_are_taken_seed_by_seed() -> None:
    base = [made(Setting(seed=seed), **{"R@1": 0.1 * seed}) for seed in range(4)]
    runs = [made(Setting(weight=1.0, seed=seed), **{"R@1": 0.1 * seed + 0.02}) for seed in (3, 1, 2, 0)]
    found = paired(runs, base, "R@1")
    assert found.value == pytest.approx(0.02)
    assert found.high - found.low < 1e-9
    assert paired(runs, base[:1], "R@1").undefined == "undefined in 3 of 4 runs"


def _drawn(table: np.ndarray, seeds: list[int]) -> list[np.ndarray]:
    kept: list[np.ndarray] = []
    bootstrap(table, seeds, lambda rows: kept.append(rows) or 0.0, draws=20)
    return kept


def test_the_bootstrap_draws_seeds() -> None:
    seeds = [seed for seed in range(6) for _ in range(2)]
    table = np.array(seeds, dtype=float)[:, None]
    found = bootstrap(table, seeds, lambda rows: float(rows.mean()))
    assert found.value == 2.5
    assert found.low < 2.0 < 3.0 < found.high
    whole = {tuple(np.bincount(rows[:, 0].astype(int), minlength=6) % 2) for rows in _drawn(table, seeds)}
    assert whole == {(0,) * 6}  # both rows of a seed, or none
    assert np.isnan(bootstrap(table, seeds, lambda rows: float("nan")).value)


def test_links_follow_the_expected_sign() -> None:
    runs = [
        made(Setting(seed=seed), gap_distance=0.1 * i, cosine=1 - 0.1 * i, alignment=(7 * i) % 5 / 5)
        for i in range(8)
        for seed in range(3)
    ]
    falls = link("all", runs, "gap_distance", "cosine", sign=-1)
    assert (falls.verdict, falls.correlation.value, falls.share.value) == ("holds", -1, 1)
    assert link("all", runs, "gap_distance", "cosine").verdict == "does not hold"
    assert abs(link("all", runs, "alignment", "cosine").correlation.value) < 0.5
    assert link("all", runs[:3], "cosine", "alignment").verdict == "cannot tell"
    assert link("all", runs, "cosine", "R@1").verdict == "cannot tell"  # R@1 never changes
    found = causal_links(dose(lambda angle: angle), runs)
    assert {x.among for x in found} == {
        "two subspaces, mean length prescribed", "nothing imposed: losses, temperatures, switches",
    }  # fmt: skip
    assert next(x for x in found if x.cause == "angle").verdict == "holds"


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> list[Setting]:
    """A plan of few settings whose trainings are made up; the list of those that were asked for."""
    asked: list[Setting] = []

    def fake(setting: Setting) -> Run:
        asked.append(setting)
        generator = np.random.default_rng([setting.seed, len(setting.key)])
        numbers = {name: float(generator.random()) for name in ("R@1", "cosine", "alignment", "gap_distance")}
        return made(setting, **numbers)

    def few(quick: bool) -> Iterator[Setting]:
        yield Setting(temperature="learned")
        yield Setting(temperature="0.01")

    monkeypatch.setattr(collecting, "train", fake)
    monkeypatch.setitem(grid.PARTS, "losses", (few, 1))
    monkeypatch.setitem(grid.PARTS, "alternatives", (few, 1))
    return asked


def test_a_run_that_was_cut_short_goes_on(tiny: list[Setting], tmp_path: Path) -> None:
    def stop(done: int, total: int, name: str) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect(["losses"], seeds=2, journal=tmp_path / "j.jsonl", progress=stop)
    assert len(tiny) == 3
    with (tmp_path / "j.jsonl").open("a") as file:
        file.write('{"setting": {"se')  # killed while writing
    runs = collect(["losses", "alternatives"], seeds=2, journal=tmp_path / "j.jsonl")
    assert len(tiny) == 4  # one was left, and what two parts ask for is trained once
    assert [run.setting.seed for run in runs["losses"]] == [0, 0, 1, 1]
    assert runs["losses"] == collect(["losses"], seeds=2)["losses"]
    (tmp_path / "notes").write_text("hello\n")
    with pytest.raises(InputError, match="is no journal of isthmus train demo"):
        collect(["losses"], seeds=2, journal=tmp_path / "notes")
    with pytest.raises(InputError, match="unknown part 'loses': did you mean 'losses'"):
        collect(["loses"])
    with pytest.raises(InputError, match="seeds=1, expected at least 2"):
        collect(["losses"], seeds=1)


def test_the_verb_writes_a_page_and_json(tiny: list[Setting], tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    run = ["train", "demo", "-o", str(out), "--seeds", "3"]
    found = CliRunner().invoke(app, run, catch_exceptions=False)
    assert found.exit_code == 0
    assert "largest miss 60.00°" in found.output
    assert f"Page: {out / 'train.html'}" in found.output.replace("\n", "")
    html = (out / "train.html").read_text(encoding="utf-8")
    assert html.count("<svg") == 5
    assert "http://" not in html.replace("http://www.w3.org", "")
    assert "https://" not in html
    assert "src=" not in html
    saved = json.loads((out / "train.json").read_text())
    assert {part for part, runs in saved["runs"].items() if runs} == set(grid.PARTS)
    assert len(saved["shared"]) == 6
    before = len(tiny)
    again = CliRunner().invoke(app, [*run, "--part", "shared_space", "--json"], catch_exceptions=False)
    assert json.loads(again.output)["runs"] == {"shared_space": saved["runs"]["shared_space"]}
    assert len(tiny) == before


def test_the_verb_refuses_a_file(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="is a file, a folder was expected"):
        CliRunner().invoke(app, ["train", "demo", "-o", str(tmp_path / "taken")], catch_exceptions=False)
    with pytest.raises(InputError, match="unknown part 'loses'"):
        CliRunner().invoke(app, ["train", "demo", "-o", str(tmp_path / "n"), "--part", "loses"], catch_exceptions=False)
    assert not (tmp_path / "n").exists()


def test_the_plan_asks_for_what_the_documentation_promises() -> None:
    settings = {part: list(make(False)) for part, (make, _) in grid.PARTS.items()}
    affine = {s.angle for s in settings["collapse"] if s.regime == "affine"}
    assert affine >= {15.0, 30.0, 45.0, 60.0, 75.0}
    trained = {(s.loss, s.temperature) for s in settings["losses"]}
    assert trained >= {(loss, temperature) for loss in objectives() for temperature in ("0.01", "learned", "0.2")}
    assert {name.partition(" ")[0] for name in objectives()} == set(registry())
    assert {temperature for loss, temperature in trained if loss == "InfoNCE"} == set(TEMPERATURES)
    assert len(trained) == len(settings["losses"])
    assert {s.epochs for s in settings["collapse"] if s.regime == "mean_length_penalty"} == {60, 240}
    assert grid.PARTS["shared_space"][1] == 2  # ten seeds where five were asked for
    assert len(set(settings["alternatives"])) == len(settings["alternatives"])


def test_a_page_of_one_part(tmp_path: Path) -> None:
    runs = dose(lambda angle: angle + 1)
    write_page(StudyResult({"collapse": runs}), tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Imposed collapse against the theory" in text
    assert "Losses and temperatures" not in text

"""The comparison: held-out pairs, honest intervals, resuming, merging, sweeps, pages and the command line."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import isthmus
from isthmus import InputError, IsthmusWarning, Pairs
from isthmus.align import Aligner, Centering, HyperplaneRotation, Identity, MeanRotation, SharedSpaceProjection
from isthmus.cli import app
from isthmus.data.grouping import item_groups
from isthmus.evaluation import Comparison, compare, load_comparison, merge
from isthmus.evaluation.held_out import group_split
from isthmus.evaluation.table import Trial, _change
from isthmus.reporting.comparison_page import closed, comparison_page, trade_off
from isthmus.statistics.moments import moments_of


def clouds(rng: np.random.Generator, n: int, *, d: int = 8, gap: float = 1.0) -> Pairs:
    latent = rng.normal(size=(n, d)) / np.arange(1, d + 1) ** 0.5
    x = latent + 0.5 * rng.normal(size=(n, d)) + gap * np.eye(d)[0]
    y = latent + 0.5 * rng.normal(size=(n, d)) + gap * np.eye(d)[1]
    return Pairs(image=x, text=y)


@pytest.fixture
def pairs(rng: np.random.Generator) -> Pairs:
    return clouds(rng, 120)


@pytest.fixture
def table(pairs: Pairs) -> Comparison:
    return compare(pairs, aligners=["Centering", "MeanRotation"], splits=2)


class TestScores:
    def test_scores_are_those_of_the_definitions(self, pairs: Pairs) -> None:
        table = compare(pairs, aligners=[Centering()], splits=1, rng=7)
        fitting, testing = pairs.split_half(rng=7)
        x, y = Centering().fit_moments(moments_of(fitting)).transform(*testing.unit())
        raw = testing.unit()

        def hits(a: Any, b: Any) -> np.ndarray:
            scores = a @ b.T
            own = np.diag(scores)
            return ((scores >= own[:, None]).sum(1) == 1) / 2 + ((scores >= own[None, :]).sum(0) == 1) / 2

        difference = hits(x, y) - hits(*raw)
        change = table["Centering"].changes["R@1"]
        error = difference.std(ddof=1) / math.sqrt(len(difference))
        assert table["Centering"].scores["R@1"].value == pytest.approx(hits(x, y).mean())
        assert change.value == pytest.approx(difference.mean())
        assert (change.low, change.high) == pytest.approx(
            (change.value - 1.96 * error, change.value + 1.96 * error), rel=1e-3
        )
        assert table["Identity"].changes["R@1"].value == 0
        assert table["Identity"].scores["gap_distance"].value == pytest.approx(
            np.linalg.norm(raw[0].mean(0) - raw[1].mean(0))
        )

    def test_predictions_of_the_theory_on_the_collapsed_run(self) -> None:
        run = isthmus.demo.arrays("collapsed", split="test")
        assert run.basis is not None
        u, v = (side.astype(float) @ run.basis.T / 0.7 for side in (run.image, run.text))
        e = float(np.mean(np.sum(u * v, axis=1)))
        table = compare(
            isthmus.demo.load("collapsed", split="test"),
            fit=isthmus.demo.load("collapsed", split="train"),
            aligners=[MeanRotation(), SharedSpaceProjection()],
        )
        found = {name: table[name].scores for name in ("Identity", "MeanRotation", "SharedSpaceProjection")}
        assert found["Identity"]["paired_cosine"].value == pytest.approx(0.51 * 0.5 + 0.49 * e, abs=1e-6)
        assert found["MeanRotation"]["paired_cosine"].value == pytest.approx(0.51 + 0.49 * e, abs=0.005)
        assert found["SharedSpaceProjection"]["paired_cosine"].value == pytest.approx(e, abs=0.03)
        assert found["MeanRotation"]["gap"].value < 4
        # The rotation leaves the ranking across modalities as it is, mixed search comes back.
        assert abs(table["MeanRotation"].changes["R@1"].value) < 0.02
        assert table["MeanRotation"].changes["mixed_R@1"].low > 0.1

    def test_standardised_scores_change_the_mixed_corpus_alone(self) -> None:
        table = compare(isthmus.demo.load("collapsed", split="test"), aligners=["ScoreStandardization"], splits=1)
        raw, found = table["Identity"], table["ScoreStandardization"]
        assert found.scores["R@1"] == raw.scores["R@1"]
        assert raw.scores["mixed_R@1"].value < 0.01
        assert found.scores["mixed_R@1"].value > 0.35
        assert found.scores["gap"].value == pytest.approx(60, abs=1)  # the rows stay where they are

    def test_labels_bring_zero_shot_and_clusters(self) -> None:
        pairs = isthmus.demo.load("plain", split="test")
        table = compare(pairs, aligners=["Centering"], tasks=["zero_shot", "clustering"], splits=3)
        raw, centred = table["Identity"], table["Centering"]
        assert raw.scores["zero_shot_accuracy"].value > 0.5
        assert centred.scores["modality_NMI"].value < raw.scores["modality_NMI"].value
        assert centred.changes["ARI"].low < centred.changes["ARI"].value < centred.changes["ARI"].high
        assert math.isnan(
            compare(pairs, aligners=["Centering"], tasks=["clustering"], splits=1)["Centering"].changes["ARI"].low
        )

    def test_given_class_texts_are_mapped(self) -> None:
        pairs = isthmus.demo.load("warm", split="test")
        labels, text = pairs.labels, pairs.unit()[1]
        assert labels is not None
        means = {int(c): text[labels == c].mean(axis=0) for c in np.unique(labels)}
        table = compare(pairs, aligners=[], tasks=["zero_shot"], splits=1, class_texts=means)
        assert table["Identity"].scores["zero_shot_accuracy"].value > 0.5
        wrong = {c: means[(c + 1) % 10] for c in means}
        table = compare(pairs, aligners=[], tasks=["zero_shot"], splits=1, class_texts=wrong)
        assert table["Identity"].scores["zero_shot_accuracy"].value < 0.2

    def test_an_aligner_with_its_own_fit(self, pairs: Pairs) -> None:
        seen = []

        class Rowwise(Centering):
            def fit(self, X: Any, Y: Any = None, /, *, index: Any = None, paired: bool = True) -> Any:
                seen.append(X.n_pairs)
                return super().fit(X)

        try:
            table = compare(pairs, aligners=[Rowwise(), Centering()], splits=1)
        finally:
            isthmus.align.unregister("Rowwise")
        assert seen == [60]
        assert table["Rowwise"].scores["R@1"] == table["Centering"].scores["R@1"]

    def test_an_aligner_that_refuses_keeps_its_reason(self, pairs: Pairs) -> None:
        class Refusing(Identity):
            def fit_moments(self, moments: Any, /, *, names: Any = None) -> Any:
                raise InputError("not today")

        try:
            row = compare(pairs, aligners=[Refusing()], splits=2)["Refusing"]
        finally:
            isthmus.align.unregister("Refusing")
        assert (row.scores, row.notes) == ({}, ["not today (2 of 2 splits)"])


class TestIntervals:
    @pytest.mark.parametrize("splits", [1, 4])
    def test_the_interval_of_a_difference_covers(self, splits: int) -> None:
        found = []
        for seed in range(250):
            pairs = clouds(np.random.default_rng(seed), 60)
            change = compare(pairs, aligners=["Centering"], tasks=["retrieval"], splits=splits, rng=seed)
            e = change["Centering"].changes["R@10"]
            found.append((e.value, e.low, e.high))
        values, low, high = np.array(found).T
        truth = values.mean()
        assert np.ptp(values) > 0
        assert np.mean((low <= truth) & (truth <= high)) >= 0.93
        # Not by being wide: several splits are at least as sure as one, and one is 95 %.
        assert np.mean(high - low) < 4.5 * values.std() * (1 if splits == 1 else 2)

    def test_splits_that_agree_give_no_interval(self) -> None:
        trials = [Trial("Centering", {}, split, 50, 50) for split in range(4)]
        same = _change([(0.5, float("nan"))] * 4, trials)
        assert (same.value, math.isnan(same.low), "say" in same.note) == (0.5, True, True)
        assert math.isnan(_change([(0.5, float("nan"))] * 2, trials[:2]).low)
        apart = _change([(v, float("nan")) for v in (0.0, 0.5, 1.0, 0.5)], trials)
        # By hand: t(3) = 3.1824, sd = .40825, correction 1/4 + 1.
        assert apart.high - apart.value == pytest.approx(3.18245 * 0.408248 * math.sqrt(1.25), rel=1e-4)

    def test_repeated_rows_do_not_make_it_surer(self, rng: np.random.Generator) -> None:
        x, y = rng.normal(size=(2, 60, 6)) + 1.0
        again = Pairs(image=np.repeat(x, 5, axis=0), text=np.repeat(y, 5, axis=0) + 0.01 * rng.normal(size=(300, 6)))
        widths = []
        for some in (Pairs(image=x, text=y), again):
            change = compare(some, aligners=["Centering"], tasks=["neighbours"], splits=1)["Centering"].changes[
                "NAS@10_x"
            ]
            widths.append(change.high - change.low)
        naive = widths[0] / math.sqrt(5)
        assert widths[1] > 1.5 * naive

    def test_repeated_rows_stay_on_one_side(self, rng: np.random.Generator) -> None:
        x = np.repeat(rng.normal(size=(20, 3)), [1, 4] * 10, axis=0)
        pairs = Pairs(image=x, text=rng.normal(size=x.shape))
        fitting, testing = group_split(pairs, item_groups(pairs), rng=3)
        assert sorted([*fitting, *testing]) == list(range(50))
        assert not {tuple(row) for row in x[fitting]} & {tuple(row) for row in x[testing]}
        plain = clouds(rng, 30)
        own = plain.split_half(rng=3)[0].x.read(0, 15)
        np.testing.assert_array_equal(plain.take(group_split(plain, item_groups(plain), rng=3)[0]).x.read(0, 15), own)


class TestHeldOut:
    def test_the_same_object(self, pairs: Pairs) -> None:
        with pytest.raises(InputError, match="fit and test are the same pairs: what is fitted must be judged on"):
            compare(pairs, fit=pairs)

    def test_the_same_files(self, pairs: Pairs, tmp_path: Path) -> None:
        for name, side in (("image", pairs.x), ("text", pairs.y)):
            np.save(tmp_path / f"{name}.npy", side.read(0, 120))
        opened = [isthmus.open_pairs(tmp_path / "image.npy", tmp_path / "text.npy") for _ in range(2)]
        with pytest.raises(InputError, match="fit and test are the same files"):
            compare(opened[0], fit=opened[1])

    def test_the_same_rows(self, pairs: Pairs, rng: np.random.Generator) -> None:
        x, y = pairs.x.read(0, 120), pairs.y.read(0, 120)
        order = rng.permutation(120)
        with pytest.raises(InputError, match="120 of the 120 test pairs are fitting pairs too"):
            compare(pairs, fit=Pairs(image=x[order], text=y[order]))
        other = clouds(rng, 120)
        mixed = Pairs(image=np.vstack([other.x.read(0, 120), x[:1]]), text=np.vstack([other.y.read(0, 120), y[:1]]))
        with pytest.warns(IsthmusWarning, match="1 of the 120 test pairs are fitting pairs too"):
            compare(pairs, fit=mixed, aligners=["Centering"], tasks=["retrieval"])
        crossed = Pairs(image=x, text=np.roll(y, 1, axis=0))  # the same rows, other pairs
        assert compare(pairs, fit=crossed, aligners=["Centering"], tasks=["retrieval"]).splits == 1

    def test_what_cannot_be_compared(self, pairs: Pairs, rng: np.random.Generator) -> None:
        with pytest.raises(InputError, match="the task clustering needs labels"):
            compare(pairs, tasks=["clustering"])
        with pytest.raises(InputError, match="7 items are too few"):
            compare(clouds(rng, 7))
        with pytest.raises(InputError, match="2 different rows of image are too few"):
            compare(Pairs(image=np.tile(np.eye(2), (10, 1)), text=rng.normal(size=(20, 2))))
        with pytest.raises(InputError, match="splits=0, expected 1 or more"):
            compare(pairs, splits=0)
        with pytest.raises(InputError, match="unknown aligner 'Centring'"):
            compare(pairs, aligners=["Centring"])


class TestSweeps:
    def test_options(self, pairs: Pairs) -> None:
        table = compare(pairs, aligners=["Centering", "HyperplaneRotation"], splits=1, sweep={"energy": [0.9, 0.95]})
        names = ["Identity", "Centering", "HyperplaneRotation(energy=0.9)", "HyperplaneRotation(energy=0.95)"]
        assert [row.name for row in table.rows] == names
        with pytest.raises(InputError, match="unknown option to sweep 'enrgy': did you mean 'energy'"):
            compare(pairs, aligners=["HyperplaneRotation"], sweep={"enrgy": [1]})
        with pytest.raises(InputError, match="Rotation cannot take energy='much': expected values like energy=0.99"):
            compare(pairs, aligners=["HyperplaneRotation"], sweep={"energy": ["much"]})
        with pytest.raises(InputError, match="the sweep of energy has no values"):
            compare(pairs, aligners=["HyperplaneRotation"], sweep={"energy": []})

    def test_fit_sizes(self, pairs: Pairs) -> None:
        table = compare(pairs, aligners=["Centering"], splits=2, fit_sizes=[10, 60])
        assert [row.name for row in table.rows] == ["Identity", "Centering on 10 items", "Centering on 60 items"]
        whole = compare(pairs, aligners=["Centering"], splits=2)["Centering"]
        assert table["Centering on 60 items"].scores["R@1"] == whole.scores["R@1"]
        distances = [table[f"Centering on {n} items"].scores["gap_distance"].value for n in (10, 60)]
        assert distances[0] > distances[1]
        with pytest.raises(InputError, match="61 items to fit on, expected 4 to the 60 there are"):
            compare(pairs, aligners=["Centering"], fit_sizes=[61])


class TestFiles:
    def test_round_trip(self, table: Comparison, tmp_path: Path) -> None:
        table.save(tmp_path / "run.json")
        back = load_comparison(tmp_path / "run.json")
        assert back.to_json() == table.to_json()
        assert isinstance(back["Centering"].aligner, Centering)
        table.save(tmp_path / "run.csv")
        lines = (tmp_path / "run.csv").read_text(encoding="utf-8").splitlines()
        assert lines[0] == "data,fit_pairs,test_pairs,splits,aligner,fit_items,score,better,value,change,low,high,note"
        assert any(line.startswith("image / text,60,60,2,Centering,,R@1,higher,0.") for line in lines)
        for bad in ("[1]", "not json"):
            (tmp_path / "bad.json").write_text(bad, encoding="utf-8")
            with pytest.raises(InputError, match=r"bad.json: (holds no comparison|is no JSON)"):
                load_comparison(tmp_path / "bad.json")

    def test_merging(self, pairs: Pairs, rng: np.random.Generator) -> None:
        whole = compare(pairs, aligners=["Centering", "MeanRotation"], splits=2)
        parts = [compare(pairs, aligners=[name], splits=2) for name in ("Centering", "MeanRotation")]
        (merged,) = merge(parts)
        assert merged.to_dict()["rows"] == whole.to_dict()["rows"]
        (more,) = merge([compare(pairs, aligners=["Centering"], splits=1), parts[0]])
        assert more.to_dict()["rows"] == parts[0].to_dict()["rows"]
        other = compare(clouds(rng, 50), aligners=["Centering"], splits=2)
        assert len(merge([parts[0], other])) == 2
        with pytest.raises(InputError, match="nothing to merge"):
            merge([])

    def test_a_run_goes_on_where_it_stopped(
        self, pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        options: dict[str, Any] = {"aligners": ["Centering", "MeanRotation"], "splits": 2}
        path = tmp_path / "run.jsonl"
        whole = compare(pairs, **options)

        class StopError(Exception):
            pass

        def stop(done: int, total: int, name: str) -> None:
            assert total == 6
            if done == 4:
                raise StopError

        with pytest.raises(StopError):
            compare(pairs, **options, journal=path, progress=stop)
        assert len(path.read_text(encoding="utf-8").splitlines()) == 5
        with path.open("a", encoding="utf-8") as file:
            file.write('{"aligner": "MeanRot')  # killed while it wrote
        fits = []
        fit = Aligner.fit_moments
        monkeypatch.setattr(
            Aligner, "fit_moments", lambda self, m, /, **k: (fits.append(type(self).__name__), fit(self, m, **k))[1]
        )
        resumed = compare(pairs, **options, journal=path)
        assert resumed.to_json() == whole.to_json()
        assert [name for name in fits if name != "Identity"] == ["Centering", "MeanRotation"]
        fits.clear()
        assert compare(pairs, **options, journal=path).to_json() == whole.to_json()
        assert fits == []
        with pytest.raises(InputError, match=r"is the journal of another run \(rng differ\)"):
            compare(pairs, **options, journal=path, rng=1)
        (tmp_path / "notes.txt").write_text("shopping\n", encoding="utf-8")
        with pytest.raises(InputError, match="is no journal of isthmus compare"):
            compare(pairs, **options, journal=tmp_path / "notes.txt")

    def test_the_page(self, table: Comparison, tmp_path: Path) -> None:
        comparison_page(table, tmp_path / "a.html")
        comparison_page(table, tmp_path / "b.html")
        text = (tmp_path / "a.html").read_text(encoding="utf-8")
        assert text == (tmp_path / "b.html").read_text(encoding="utf-8")
        assert text.count("<svg") == 2  # one for each task
        assert "currentColor" in text
        assert "prefers-color-scheme: dark" in text
        assert "http" not in text.replace("http://www.w3.org", "")
        for row in table.rows:
            assert row.name in text
        change = table["MeanRotation"].changes["R@1"]
        assert f"<small>[{change.low:+.3f}, {change.high:+.3f}]</small>" in text  # narrow enough for five scores
        assert closed(table["Identity"], table["Identity"]) == 0
        assert closed(table["Centering"], table["Identity"]) > 0.5
        with pytest.raises(InputError, match="no score 'R@2' in this comparison"):
            comparison_page(table, tmp_path / "c.html", score="R@2")


def test_lines_to_the_names_of_the_figure_cross_no_name(table: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each begins at the left end of its name."""
    from matplotlib.axes import Axes

    seen: list[Any] = []
    annotate = Axes.annotate

    def kept(self: Axes, *args: Any, **options: Any) -> Any:
        seen.append(options)
        return annotate(self, *args, **options)

    monkeypatch.setattr(Axes, "annotate", kept)
    trade_off(table, "R@1")
    assert [o["arrowprops"]["relpos"] for o in seen if "arrowprops" in o] == [(0, 0.5)] * 2


class TestCommandLine:
    @pytest.fixture
    def files(self, pairs: Pairs, tmp_path: Path) -> list[str]:
        for name, side in (("image", pairs.x), ("text", pairs.y)):
            np.save(tmp_path / f"{name}.npy", side.read(0, 120))
        np.save(tmp_path / "labels.npy", np.arange(120) % 3)
        return [str(tmp_path / "image.npy"), str(tmp_path / "text.npy")]

    def test_compare(self, files: list[str], tmp_path: Path) -> None:
        outs = [str(tmp_path / name) for name in ("run.html", "run.json", "run.csv")]
        arguments = [
            "compare",
            *files,
            "--aligners",
            "centering",
            "--splits",
            "2",
            *(a for o in outs for a in ("-o", o)),
        ]
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
        assert "Centering" in done.stdout
        assert "gap undefined (Centering): " in done.stdout
        assert all(Path(out).stat().st_size > 100 for out in outs)
        printed = json.loads(
            CliRunner().invoke(app, ["compare", *files, "--aligners", "centering", "--splits", "2", "--json"]).stdout
        )
        assert printed == json.loads(Path(outs[1]).read_text(encoding="utf-8"))

    def test_tasks_with_labels_sweeps_and_sizes(self, files: list[str], tmp_path: Path) -> None:
        done = CliRunner().invoke(
            app,
            ["compare", *files, "--aligners", "hyperplane-rotation", "--tasks", "all", "--labels",
             str(tmp_path / "labels.npy"), "--sweep", "energy=.9,0.95", "--fit-sizes", "30", "--splits", "1", "--json",
             "--resume", str(tmp_path / "j.jsonl")],
        )  # fmt: skip
        assert done.exit_code == 0, done.output
        found = json.loads(done.stdout)
        assert [row["aligner"] for row in found["rows"]][1:] == [
            f"HyperplaneRotation(energy={e}) on 30 items" for e in (0.9, 0.95)
        ]
        assert {"ARI", "zero_shot_accuracy", "NAS@10_x", "kept_32_bins"} <= set(found["rows"][1]["scores"])
        assert len((tmp_path / "j.jsonl").read_text(encoding="utf-8").splitlines()) == 4

    def test_merge(self, files: list[str], tmp_path: Path) -> None:
        runs = []
        for name in ("centering", "mean-rotation"):
            runs.append(str(tmp_path / f"{name}.json"))
            CliRunner().invoke(app, ["compare", *files, "--aligners", name, "--splits", "1", "-o", runs[-1]])
        done = CliRunner().invoke(app, ["compare-merge", *runs, "-o", str(tmp_path / "table.csv")])
        assert done.exit_code == 0, done.output
        text = (tmp_path / "table.csv").read_text(encoding="utf-8")
        assert "Centering" in text
        assert "MeanRotation" in text

    @pytest.mark.parametrize(
        ("extra", "message"),
        [
            (["-o", "table.xlsx"], "the name must end in .html, .json or .csv"),
            (["--sweep", "energy"], "expected NAME=VALUE,VALUE"),
            (["--fit-sizes", "ten"], "'ten' is not a whole number"),
            (["--tasks", "retrieve"], "unknown task 'retrieve'"),
            (["--labels", "image.npy"], "labels has shape (120, 8), expected one for each of the 120 rows of image"),
        ],
    )
    def test_bad_input(
        self, files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: Any, message: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        done = CliRunner().invoke(app, ["compare", *files, *extra])
        assert isinstance(done.exception, InputError)
        assert message in str(done.exception)

    def test_fitting_on_the_test_files_is_refused(self, files: list[str]) -> None:
        done = CliRunner().invoke(app, ["compare", *files, "--fit", *files])
        assert "fit and test are the same files" in str(done.exception)
        assert CliRunner().invoke(app, ["compare", files[0]]).exit_code == 2

    def test_the_progress_bar_is_for_terminals(self, files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        done = CliRunner().invoke(app, ["compare", *files, "--aligners", "centering", "--splits", "1", "--json"])
        assert done.stderr == ""
        from isthmus.cli import progress

        monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
        with progress.progress_bar("x", quiet=True) as update:
            assert update is None
        with progress.progress_bar("x", quiet=False) as update:
            assert update is not None
            update(1, 2, "Centering")


def test_real_pairs(clip_coco: Pairs, real: Callable[[str], Path]) -> None:
    table = compare(clip_coco, aligners=[Centering(), MeanRotation(), HyperplaneRotation()], splits=10, rng=10)
    assert 100 * table["Identity"].scores["R@1"].value == pytest.approx(61.7, abs=1.5)
    changes = {
        name: 100 * table[name].changes["R@1"].value for name in ("Centering", "MeanRotation", "HyperplaneRotation")
    }
    assert changes["Centering"] == pytest.approx(-1.0, abs=1.5)
    assert changes["MeanRotation"] == pytest.approx(-25, abs=3)
    assert changes["HyperplaneRotation"] == pytest.approx(-29, abs=3)
    assert 100 * table["Centering"].scores["mixed_R@1"].value == pytest.approx(11, abs=2)
    assert table["Identity"].scores["same_modality_share"].value == pytest.approx(1, abs=0.005)

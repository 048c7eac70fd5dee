"""Experiments of the theory: verdicts, checks, page parts and the verb `isthmus theory`."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from isthmus import cli
from isthmus.cli.theory import app
from isthmus.reporting.drawing import INK
from isthmus.studies.theorems import ExperimentResult, Row, experiments, page, run
from isthmus.studies.theorems._experiment import Findings, at_least, at_most, check_all, close, equal, undefined
from isthmus.studies.theorems._journal import journal_line, result_of
from isthmus.theory import Stop, optimise
from isthmus.utils.errors import InputError
from isthmus.utils.progress import listening

#: Name -> the verdict with `quick`, up to the condition under which a claim holds.
VERDICTS = {
    "theorem_1": "holds",
    "theorem_2": "holds under global minimisation",
    "theorem_3": "holds under a cone on both sides",
    "clouds_in_hyperplanes": "fails as stated",
    "certificate": "holds",
    "valley": "fails as stated",
    "small_temperature": "fails as stated",
    "saturated_loss": "fails as stated",
    "circles": "fails as stated",
    "collapse_without_cone": "fails as stated",
    "affine": "fails as stated",
    "moving_constant_parts": "fails as stated",
    "batch_size": "fails as stated",
    "theorem_4": "holds under centres orthogonal to the shared space",
    "corollary_2": "holds under means of a fixed length",
    "corollary_3": "holds under the optimum of Theorem 3",
    "corollary_4": "holds under the optimum of Theorem 3 and a known shared space",
    "translation_or_projection": "fails as stated",
    "cone_temperature_sweep": "holds",
    "collapse_dose_response": "holds",
}

#: Experiments of many optimisations. Quick tests of the optimisation check each of their claims in one setting.
LONG = ("theorem_2", "theorem_3", "cone_temperature_sweep", "collapse_dose_response")


@functools.cache
def run_quickly(name: str) -> ExperimentResult:
    return run(name, quick=True)


def test_experiments_are_those_with_a_known_verdict() -> None:
    assert list(experiments()) == list(VERDICTS)


def test_translation_fails_only_if_the_parts_along_the_centres_vary() -> None:
    rows = {row.quantity: row.passed for row in run_quickly("translation_or_projection").rows}
    failed = [quantity for quantity, passed in rows.items() if not passed]
    assert failed == [
        "varying α: mean paired cosine after the translation",
        "varying α: energy distance after the translation",
    ]
    assert len(rows) == 7


def test_result_from_a_journal_equals_the_one_that_was_written() -> None:
    result = run_quickly("certificate")
    loaded = result_of(json.loads(json.dumps(journal_line(result))))
    assert loaded == replace(result, seconds=loaded.seconds, numbers=loaded.numbers)
    assert loaded.to_dict() == result.to_dict()
    assert page.figure_svg(loaded) == page.figure_svg(result)
    with pytest.raises(InputError, match="run the experiment again"):
        loaded.figure()


def test_interrupted_run_of_all_experiments_goes_on_where_it_was_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [close("one", 1, 1, 0)]
    findings = Findings(rows, check_all(rows), "It is.", {}, lambda figure: None, "Nothing.")
    first, second = (replace(experiments()[name], function=lambda quick: findings) for name in ("affine", "valley"))

    def interrupted(*, quick: bool) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(page, "animations", list)
    monkeypatch.setattr(page, "experiments", lambda: {"a": first, "b": replace(second, function=interrupted)})
    result = CliRunner().invoke(app, ["all", str(tmp_path), "--quick"])
    assert result.exit_code == 130
    assert [path.name for path in tmp_path.iterdir()] == ["theory-quick.jsonl"]
    monkeypatch.setattr(page, "experiments", lambda: {"a": replace(first, function=interrupted), "b": second})
    result = CliRunner().invoke(app, ["all", str(tmp_path), "--quick"])
    assert result.exit_code == 0, result.output
    assert [path.name for path in tmp_path.iterdir()] == ["theory.html"]
    text = (tmp_path / "theory.html").read_text(encoding="utf-8")
    assert first.title in text
    assert second.title in text


def check_whole(result: ExperimentResult) -> None:
    """Check that a result has its texts, several rows, a form for JSON and a figure for the page."""
    assert result.claim
    assert result.assumption
    assert result.finding
    assert len(result.rows) > 1
    text = json.dumps(result.to_dict(), allow_nan=False)
    assert json.loads(text)["name"] == result.name
    svg = page.figure_svg(result)
    assert svg.startswith("<svg")
    assert 'role="img"' in svg
    assert "currentColor" in svg
    assert INK not in svg
    assert "mathdefault" not in svg


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in VERDICTS]
)
def test_experiment_run_quickly_gives_the_known_verdict(name: str) -> None:
    result = run_quickly(name)
    assert result.name == name
    failed = [row for row in result.rows if not row.passed]
    if VERDICTS[name] == "holds":
        assert result.verdict == "holds", failed
    else:
        assert result.verdict.startswith(VERDICTS[name]), failed
    assert result.passed is result.verdict.startswith("holds")
    check_whole(result)


@pytest.mark.parametrize("name", LONG)
def test_long_experiment_with_few_steps_has_rows_and_a_figure(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules[experiments()[name].function.__module__]
    few = {"n": 32, "stop": Stop(max_steps=2)}
    monkeypatch.setattr(module, "optimise", lambda *constraint, **options: optimise(*constraint, **options | few))
    result = run(name, quick=True)
    assert result.name == name
    check_whole(result)


def test_valley_losses_equal_their_formula() -> None:
    losses = [row for row in run_quickly("valley").rows if "loss" in row.quantity]
    assert losses
    assert all(row.passed for row in losses)


@pytest.mark.parametrize(
    ("row", "passed"),
    [
        (close("a", 1.0, 1.05, 0.1), True),
        (close("a", 1.0, 1.15, 0.1), False),
        (close("a", 1.0, float("nan"), 0.1), False),
        (at_least("a", 1.0, 1.0), True),
        (at_least("a", 1.0, 0.9), False),
        (at_most("a", 1.0, 1.0), True),
        (at_most("a", 1.0, 1.1), False),
        (equal("a", "yes", "yes"), True),
        (equal("a", "yes", "no"), False),
        (undefined("a", float("nan")), True),
        (undefined("a", 60.0), False),
    ],
)
def test_row_passes_when_its_relation_holds(row: Row, passed: bool) -> None:
    assert row.passed is passed


def test_row_shows_nan_as_undefined() -> None:
    assert close("a", 1.0, float("nan"), 0.1).measured == "undefined"
    assert undefined("a", 60.0).measured == 60.0


def test_check_all_names_the_condition_of_a_claim_that_holds() -> None:
    assert check_all([close("a", 0, 0, 0)]) == "holds"
    assert check_all([close("a", 0, 0, 0)], "care") == "holds under care"
    assert check_all([close("a", 0, 1, 0)], "care") == "fails as stated"


def test_run_of_an_unknown_name_suggests_a_known_one() -> None:
    with pytest.raises(InputError, match="did you mean 'theorem_3'"):
        run("theorem3")
    with pytest.raises(InputError, match="unknown experiment 'zzzzzzzz'; known: affine, batch_size"):
        run("zzzzzzzz")


def test_collect_with_an_unknown_name_runs_nothing() -> None:
    calls: list[tuple[int, int, str]] = []
    with pytest.raises(InputError, match="unknown experiment 'zzzzzzzz'"):
        page.collect(["certificate", "zzzzzzzz"], quick=True, progress=lambda *state: calls.append(state))
    assert calls == []


def test_collect_reports_progress_before_each_experiment_and_at_the_end() -> None:
    calls: list[tuple[int, int, str]] = []
    stages: list[tuple[int, int | None, str, str]] = []
    with listening(lambda *state: stages.append(state)):
        page.collect(["certificate"], quick=True, progress=lambda *state: calls.append(state))
    assert calls == [(0, 1, "certificate"), (1, 1, "")]
    assert stages[0] == (0, None, "experiment certificate", "")
    assert stages[-1] == (1, 1, "experiment certificate", "")
    assert (0, None, "experiment certificate", "running, optimising step 20") in stages
    assert {stage for _, _, stage, _ in stages} == {"experiment certificate"}


def test_list_prints_a_table_and_json() -> None:
    runner = CliRunner()
    table = runner.invoke(app, ["list"])
    assert table.exit_code == 0
    assert "theorem_3" in table.stdout
    values = json.loads(runner.invoke(app, ["list", "--json"]).stdout)
    assert values["format"] == 1
    assert {item["name"] for item in values["experiments"]} == set(VERDICTS)
    assert all(item["claim"] and item["assumption"] for item in values["experiments"])


def test_verb_with_a_name_prints_the_checks_and_writes_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "animations", list)
    runner = CliRunner()
    lines = runner.invoke(app, ["certificate", "--quick", "--output", str(tmp_path)])
    assert lines.exit_code == 0
    assert "A certificate for orthogonal centres: the claim holds" in lines.stdout
    assert "largest excess of H over G(R)" in lines.stdout
    assert "  R: length of a mean" in lines.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["theory.html"]
    values = json.loads(runner.invoke(app, ["circles", "--quick", "--json"]).stdout)
    assert values["experiments"][0]["verdict"] == "fails as stated"
    assert values["page"] is None


@pytest.mark.parametrize(
    ("name", "hint"), [("theorm_3", "did you mean 'theorem_3'?"), ("zzzzzzzz", "known: affine, batch_size")]
)
def test_verb_with_an_unknown_name_exits_with_2_and_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, hint: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["isthmus", "theory", name, "-o", str(tmp_path / "new")])
    with pytest.raises(SystemExit) as end:
        cli.main()
    printed = capsys.readouterr()
    assert end.value.code == 2
    assert printed.out == ""
    assert printed.err.startswith(f"isthmus: error: unknown experiment {name!r}")
    assert hint in printed.err
    assert printed.err.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_output_that_is_a_file_is_refused_before_the_experiments_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(page, "collect", lambda *_, **__: pytest.fail("the experiments ran"))
    result = CliRunner().invoke(app, ["certificate", "--quick", "-o", str(tmp_path / "file")])
    assert isinstance(result.exception, InputError)
    assert "is a file, expected a folder" in str(result.exception)
    with pytest.raises(InputError, match="is a file"):
        page.run_all(tmp_path / "file")


def test_import_of_all_experiments_loads_neither_torch_nor_matplotlib_nor_jinja2() -> None:
    code = (
        "import sys, isthmus.theory, isthmus.cli.theory, isthmus.theory.optimisation, isthmus.studies.theorems.page;"
        "import isthmus.studies.theorems as t; t.experiments();"
        "print([m for m in ('torch', 'matplotlib', 'jinja2') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"

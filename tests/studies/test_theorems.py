"""Every experiment runs, comes to the verdict that is known, and can be shown."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from isthmus import cli
from isthmus.cli.theory import app
from isthmus.studies.theorems import experiments, page, run
from isthmus.studies.theorems._experiment import at_least, at_most, check_all, close, equal, undefined
from isthmus.utils.errors import InputError

VERDICTS = {
    "theorem_1": "holds",
    "theorem_2": "holds under",
    "theorem_3": "holds under",
    "clouds_in_hyperplanes": "fails, as stated",
    "certificate": "holds",
    "valley": "fails, as stated",
    "small_temperature": "fails, as stated",
    "saturated_loss": "fails, as stated",
    "circles": "fails, as stated",
    "collapse_without_cone": "fails, as stated",
    "affine": "fails, as stated",
    "moving_constant_parts": "fails, as stated",
    "batch_size": "fails, as stated",
    "theorem_4": "holds under",
    "corollary_2": "holds under",
    "corollary_3": "holds under",
    "corollary_4": "holds under",
    "cone_temperature_sweep": "",
    "collapse_dose_response": "",
}


def test_every_experiment_is_known_here():
    assert set(experiments()) == set(VERDICTS)


@pytest.mark.parametrize("name", VERDICTS)
def test_experiment(name):
    result = run(name, quick=True)
    assert result.name == name
    assert result.verdict.startswith(VERDICTS[name]), [row for row in result.rows if not row.passed]
    assert result.claim
    assert result.assumption
    assert result.finding
    assert result.rows
    if result.verdict.startswith("holds"):
        assert result.passed
    text = json.dumps(result.to_dict(), allow_nan=False)
    assert json.loads(text)["name"] == name
    svg = page.figure_svg(result)
    assert svg.startswith("<svg")
    assert 'role="img"' in svg
    assert "currentColor" in svg
    assert "#112233" not in svg


def test_the_valley_sits_on_its_formula():
    result = run("valley", quick=True)
    losses = [row for row in result.rows if "loss" in row.quantity]
    assert losses
    assert all(row.passed for row in losses)


def test_rows_know_whether_they_came_true():
    assert close("a", 1.0, 1.05, 0.1).passed
    assert not close("a", 1.0, float("nan"), 0.1).passed
    assert close("a", 1.0, float("nan"), 0.1).measured == "undefined"
    assert at_least("a", 1.0, 1.0).passed
    assert not at_most("a", 1.0, 1.1).passed
    assert not equal("a", "yes", "no").passed
    assert undefined("a", float("nan")).passed
    assert undefined("a", 60.0).measured == 60.0
    assert check_all([close("a", 0, 0, 0)]) == "holds"
    assert check_all([close("a", 0, 0, 0)], "care") == "holds under care"
    assert check_all([close("a", 0, 1, 0)], "care") == "fails, as stated"


def test_unknown_names_are_corrected():
    with pytest.raises(InputError, match="did you mean 'theorem_3'"):
        run("theorem3")
    with pytest.raises(InputError, match="unknown experiment 'zzzzzzzz': Known: affine, batch_size"):
        run("zzzzzzzz")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (60.0, "60"),
        (0.00012, "1.20·10⁻⁴"),
        (-0.5, "−0.5"),
        (1.84e39, "1.84·10³⁹"),
        ("undefined",) * 2,
    ],
)
def test_numbers_read_well(value, text):
    assert page.number(value) == text


def test_list_in_words_and_in_json():
    runner = CliRunner()
    words = runner.invoke(app, ["list"])
    assert words.exit_code == 0
    assert "theorem_3" in words.stdout
    values = json.loads(runner.invoke(app, ["list", "--json"]).stdout)
    assert values["format"] == 1
    assert {item["name"] for item in values["experiments"]} == set(VERDICTS)
    assert all(item["claim"] and item["assumption"] for item in values["experiments"])


def test_one_experiment_in_the_terminal(tmp_path):
    runner = CliRunner()
    words = runner.invoke(app, ["certificate", "--quick", "-o", str(tmp_path)])
    assert words.exit_code == 0
    assert "holds" in words.stdout
    assert (tmp_path / "theory.html").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["theory.html"]
    values = json.loads(runner.invoke(app, ["certificate", "--quick", "--json"]).stdout)
    assert values["experiments"][0]["verdict"] == "holds"
    assert values["page"] is None


@pytest.mark.parametrize(
    ("name", "words"), [("theorm_3", "did you mean 'theorem_3'?"), ("zzzzzzzz", "Known: affine, batch_size")]
)
def test_unknown_name_ends_with_two_and_one_line(monkeypatch, capsys, tmp_path, name, words):
    monkeypatch.setattr(sys, "argv", ["isthmus", "theory", name, "-o", str(tmp_path / "new")])
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr()
    assert end.value.code == 2
    assert said.out == ""
    assert said.err.startswith(f"isthmus: error: unknown experiment {name!r}: {words}")
    assert said.err.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_a_wrong_name_is_refused_before_anything_runs(monkeypatch):
    told = []
    with pytest.raises(InputError, match="unknown experiment 'zzzzzzzz'"):
        page.collect(["certificate", "zzzzzzzz"], quick=True, progress=lambda *state: told.append(state))
    assert told == []


def test_a_file_is_no_folder_and_that_is_said_before_the_work(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(page, "collect", lambda *_, **__: pytest.fail("the experiments ran"))
    result = CliRunner().invoke(app, ["certificate", "--quick", "-o", str(tmp_path / "file")])
    assert isinstance(result.exception, InputError)
    assert "is a file" in str(result.exception)
    with pytest.raises(InputError, match="is a file"):
        page.run_all(tmp_path / "file")


def test_progress_is_told():
    told = []
    page.collect(["certificate"], quick=True, progress=lambda *state: told.append(state))
    assert told == [(0, 1, "certificate"), (1, 1, "")]


def test_importing_the_theory_loads_neither_torch_nor_matplotlib():
    code = (
        "import sys, isthmus.theory, isthmus.cli.theory, isthmus.theory.optimisation, isthmus.studies.theorems.page;"
        "import isthmus.studies.theorems as t; t.experiments();"
        "print([m for m in ('torch', 'matplotlib', 'jinja2') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"

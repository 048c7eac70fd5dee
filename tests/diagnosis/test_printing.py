"""The explanation in the terminal and as JSON: the verb `isthmus explain`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import isthmus
from isthmus.cli import app
from isthmus.diagnosis import COMPONENTS
from isthmus.diagnosis.printing import explanation_lines, waterfall
from isthmus.diagnosis.verdict_sentences import COMPONENT_PHRASES


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    return [str(path) for path in isthmus.demo.export(tmp_path, "collapsed", split="test")]


def test_waterfall_falls_from_one_to_the_mean_cosine() -> None:
    budget = isthmus.explain(isthmus.demo.load("collapsed", split="test")).budget
    lines = list(waterfall(budget))
    falls = [float(line[14:22]) for line in lines[:6]]
    assert falls[0] + sum(falls[1:5]) == pytest.approx(falls[5], abs=3e-4)
    bars = [line[24:64] for line in lines[:6]]
    assert len(bars[0]) == 40
    assert bars[2].count("#") == pytest.approx(40 * budget["centre"].value, abs=1)
    # Each bar ends where the one above begins.
    assert len(bars[2].rstrip()) == 40
    assert len(bars[4].rstrip()) == pytest.approx(bars[2].index("#"), abs=1)


def test_explain_prints_all_sections(files: list[str]) -> None:
    result = CliRunner().invoke(app, ["explain", *files, "--cosine", "0.7", "--temperature", "0.0586"])
    assert result.exit_code == 0, result.output
    for words in (
        "- The mean image", "Components of the cosine deficit", "Collapse", "beyond chance: 8",
        "Both hypotheses hold together",
        "fails    von Mises-Fisher (image)", "Affine case", "Its assumptions hold here", "Meaning of a cosine",
        "A cosine of 0.7 between image and text", 
    ):  # fmt: skip
        assert words in result.output, words
    assert "nan" not in result.output


def test_explain_without_cosine_uses_the_mean_cosine(files: list[str]) -> None:
    output = CliRunner().invoke(app, ["explain", *files]).output
    mean = isthmus.explain(isthmus.demo.load("collapsed", split="test")).ceiling.mean_cosine
    assert f"A cosine of {round(mean, 2):g} between image and text" in output


def test_explain_as_json_contains_the_cosine(files: list[str]) -> None:
    result = CliRunner().invoke(app, ["explain", *files, "--json", "--cosine", "0.7", "--names", "digit,words"])
    values = json.loads(result.output)
    assert values["format"] == 1
    assert values["version"] == isthmus.__version__
    assert values["pairs"]["names"] == ["digit", "words"]
    assert values["calibration"]["cosine"] == 0.7
    assert values["assumptions"]["theorems"]["affine case"]["speaks"] is True


def test_explain_of_a_cosine_above_one_is_an_error(files: list[str]) -> None:
    result = CliRunner().invoke(app, ["explain", *files, "--cosine", "2"])
    assert "--cosine 2: expected a number between -1 and 1" in str(result.exception)


def test_lines_of_degenerate_clouds_contain_no_nan(rng: np.random.Generator) -> None:
    x, y = np.tile([1.0, 0, 0], (30, 1)), np.tile([0, 1.0, 0], (30, 1))
    lines = "\n".join(explanation_lines(isthmus.explain(isthmus.Pairs(image=x, text=y))))
    assert "The captured fraction of the covariance is undefined" in lines
    assert "nan" not in lines


@pytest.mark.parametrize("unpaired", [False, True])
def test_components_are_defined_before_they_are_named(unpaired: bool, rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 100, 40)) + 0.5
    explanation = isthmus.explain(x, y, unpaired=unpaired)
    lines = list(explanation_lines(explanation))
    definitions = lines.index(next(line for line in lines if "1 minus the mean cosine is the sum" in line))
    verdict = " ".join(explanation.verdict).replace(COMPONENT_PHRASES["orientation"], "")
    assert unpaired or "have no intervals, because 100 items are few for 40 dimensions" in verdict
    for name in COMPONENT_PHRASES:
        assert not re.search(rf"\b{name} (is|downward|would)|{name},", verdict)
        assert f"{name.capitalize()}: {COMPONENTS[name]}." in lines[definitions]
        assert next(n for n, line in enumerate(lines) if line.startswith(f"  {name} ")) > definitions


def test_captured_fraction_is_printed_without_its_unit(rng: np.random.Generator) -> None:
    x = rng.normal(size=(400, 8)) + 1
    explanation = isthmus.explain(isthmus.Pairs(image=x, text=x + rng.normal(size=(400, 8)) + 1))
    line = next(line for line in waterfall(explanation.budget) if "Matching pairs reach" in line)
    assert re.search(r"reach 0\.\d+ \[0\.\d+, 0\.\d+\] (\(plug-in 0\.\d+\) )?of the largest covariance", line)


def test_components_that_are_zero_have_no_sign(rng: np.random.Generator) -> None:
    x, y = rng.standard_normal((2, 300, 16))
    budget = isthmus.explain((x + 100, y - 100)).budget
    lines = list(waterfall(budget))
    assert any(" 0.0000 " in line for line in lines)
    assert not any("-0.0000" in line for line in lines)

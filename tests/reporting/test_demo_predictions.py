"""The cosines that theory predicts for every pair of the collapsed run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from isthmus.cli import app
from isthmus.reporting.demo_predictions import demo_sections, predict_cosines


def test_every_pair_is_where_theory_puts_it() -> None:
    found = {p.name: p for p in predict_cosines()}
    shared = found["raw"].shared
    assert len(shared) == 597
    assert np.ptp(shared) > 0.3  # there is something to predict
    for name, expected in (
        ("raw", 0.51 * np.cos(np.radians(60)) + 0.49 * shared),
        ("MeanRotation", 0.51 + 0.49 * shared),
        ("SharedSpaceProjection", shared),
        ("Centering", shared),
    ):
        np.testing.assert_allclose(found[name].predicted, expected, atol=1e-9)
    for name, most in (
        ("raw", 1e-6), ("axis onto axis, true", 1e-6), ("shared space, true", 1e-6),
        ("MeanRotation", 0.01), ("SharedSpaceProjection", 0.001), ("Centering", 0.02),
    ):  # fmt: skip
        assert np.abs(found[name].measured - found[name].predicted).max() < most, name


def test_the_page_shows_it_where_it_holds(tmp_path: Path) -> None:
    assert demo_sections("plain") == demo_sections("warm") == []
    page = tmp_path / "demo.html"
    answer = CliRunner().invoke(app, ["demo", "--run", "collapsed", "-o", str(page)])
    assert answer.exit_code == 0
    assert "are distinct" not in answer.output
    assert "579 of 597 text rows are distinct" in page.read_text(encoding="utf-8")
    assert answer.stdout.startswith("- Recommended: ScoreCalibration. ")
    *_, report, fit, apply_image, apply_text, query_text = (line.strip() for line in answer.stdout.splitlines())
    assert report == "isthmus report image.npy text.npy -o gap.html"
    assert fit == "isthmus fit ScoreCalibration image.npy text.npy -o correction.safetensors"
    assert apply_image.startswith("isthmus apply correction.safetensors image.npy")
    assert apply_text.endswith("text_corrected.npy --modality text --role stored")
    assert query_text.endswith("text_queries.npy --modality text --role query")
    assert answer.stdout.count("Recommended") == 1
    text = page.read_text(encoding="utf-8")
    assert "What theory predicts for every pair" in text
    assert "Cosine of each pair against its E: raw 0.679 (predicted 0.679)" in text

"""Changes without an interval show a mark and their reason in the printed table, the pages and the notebook."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from isthmus.cli import app
from isthmus.evaluation import load_comparison


@pytest.mark.filterwarnings("ignore")
def test_compare_of_few_pairs_marks_changes_without_an_interval_and_states_the_reason_once(tmp_path: Path) -> None:
    latent = np.random.default_rng(3).normal(size=(44, 6))
    files = [str(tmp_path / name) for name in ("image.npy", "text.npy")]
    for axis, file in enumerate(files):
        np.save(file, latent + 0.5 * np.random.default_rng(axis).normal(size=latent.shape) + 2 * np.eye(6)[axis])
    page, run = tmp_path / "run.html", tmp_path / "run.json"
    options = ["--aligners", "ScoreStandardization", "--splits", "2", "-o", str(page), "-o", str(run)]
    result = CliRunner().invoke(app, ["compare", *files, *options])
    assert result.exit_code == 0, result.output
    reason = "the fit moves this score by more than the held-out items show"
    lines = [line for line in result.output.splitlines() if line.startswith("ScoreStandardization ")]
    assert " *" in lines[0]
    assert result.output.replace("\n", " ").count(f"* no interval (ScoreStandardization): {reason}") == 1
    assert page.read_text(encoding="utf-8").count(f"No interval for ScoreStandardization: {reason}.") == 1
    assert load_comparison(run).display_columns()["note"] == ["", f"no interval: {reason}"]

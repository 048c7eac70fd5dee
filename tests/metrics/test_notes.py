"""Caveats are printed once with the measures that they concern, and stand in the list of measures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from isthmus.cli import app


def test_measure_prints_each_caveat_once(tmp_path: Path, rng: np.random.Generator) -> None:
    latent = rng.normal(size=(30, 40)) + 1
    for name in ("image", "text"):
        np.save(tmp_path / f"{name}.npy", latent + rng.normal(size=(30, 40)))
    out = CliRunner().invoke(app, ["measure", str(tmp_path / "image.npy"), str(tmp_path / "text.npy"), "--all"])
    assert out.exit_code == 0
    caveat = ": 30 items are too few for 40 dimensions: 400 are needed"
    lines = [line for line in out.stdout.splitlines() if caveat in line]
    assert len(lines) == 1
    assert "gap_share_leading_8_image, gap_share_leading_8_text" in lines[0]
    assert "siglip_margin, siglip_relative_bias: no interval: " in out.stdout


def test_list_prints_interval_and_null() -> None:
    out = CliRunner().invoke(app, ["list", "metrics"])
    assert "interval: jackknife; null: modality swap" in out.stdout
    assert "interval: none: a whole number that grows with n until n is many times d; null: isotropic" in " ".join(
        out.stdout.split()
    )

"""Folders of corrections for a model hub."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus import InputError, integrations

pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def comparison() -> isthmus.evaluation.Comparison:
    train, test = (isthmus.demo.load("collapsed", split=split) for split in ("train", "test"))
    return isthmus.compare(test, fit=train, aligners=["Centering"], tasks=["mixed_search"])


def test_folder_holds_the_correction_its_graphs_and_the_held_out_numbers(
    comparison: isthmus.evaluation.Comparison, tmp_path: Path
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pairs = isthmus.demo.load("collapsed")
    correction = isthmus.align.Centering().fit(pairs)
    folder = integrations.to_folder(correction, tmp_path / "hub", comparison=comparison, licence="mit", model="me/clip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hub"]
    graphs = [f"{role}_{name}.onnx" for role in ("query", "stored") for name in ("image", "text")]
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "correction.safetensors", *graphs]
    rows = dict(zip(pairs.names, pairs.unit(), strict=True))
    loaded = isthmus.load(folder / "correction.safetensors")
    for role in ("query", "stored"):
        for name, table in rows.items():
            session = onnxruntime.InferenceSession(folder / f"{role}_{name}.onnx")
            (corrected,) = session.run(None, {"rows": table.astype("float32")})
            np.testing.assert_allclose(corrected, getattr(loaded, role)(table, modality=name), atol=1e-6)
    card = (folder / "README.md").read_text(encoding="utf-8")
    header = card.split("---")[1]
    assert "license: mit\nbase_model: me/clip\n" in header
    assert comparison.to_markdown().strip() in card
    assert f"{comparison.n_fit:,} pairs to fit on, {comparison.n_test:,} others to judge on" in card


def test_export_verb_names_rows_without_a_graph_and_refuses_a_folder_that_exists(
    comparison: isthmus.evaluation.Comparison, tmp_path: Path
) -> None:
    correction = isthmus.align.ScoreCalibration().fit(isthmus.demo.load("collapsed"))
    correction.save(tmp_path / "scores.safetensors")
    comparison.save(tmp_path / "run.json")
    command = [sys.executable, "-m", "isthmus", "export", "scores.safetensors", "hub", "--comparison", "run.json"]
    outcomes = [
        subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True, check=False)
        for options in (["--licence", "MIT License"], ["--licence", "mit", "--json"], [])
    ]
    assert [outcome.returncode for outcome in outcomes] == [2, 0, 2], outcomes
    assert "expected an identifier in small letters" in outcomes[0].stderr
    files = json.loads(outcomes[1].stdout)["files"]
    assert files == ["README.md", "correction.safetensors", "query_image.onnx", "query_text.onnx"]
    assert "bank: stored rows of image, stored rows of text." in (tmp_path / "hub" / "README.md").read_text()
    assert "exists; give the name of a new folder" in outcomes[2].stderr
    with pytest.raises(InputError, match="does not exist; create it first"):
        integrations.to_folder(correction, tmp_path / "none" / "hub")

"""The commands that the report offers run as printed, for every aligner and every way of pairing."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import isthmus
from isthmus.align import registry
from isthmus.cli import app
from isthmus.evaluation import Summary
from isthmus.reporting.recommended_commands import commands, files_of

N = 240


@pytest.fixture(scope="module")
def row() -> Summary:
    """Row of a comparison, whose aligner is replaced."""
    pairs = isthmus.demo.load("plain", split="test")
    return isthmus.compare(pairs, aligners=["Centering"], tasks=["retrieval"], splits=1)["Centering"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the working directory with files of two modalities."""
    monkeypatch.chdir(tmp_path)
    for name, rows in zip(("image", "text"), isthmus.demo.load("plain", split="test").unit(), strict=True):
        np.save(tmp_path / f"{name}.npy", rows[:N])
    return tmp_path


def run(lines: dict[str, str]) -> list[str]:
    """Run the commands of the shell in order, and return them."""
    shell = lines["shell"].splitlines()
    for line in shell:
        program, *arguments = shlex.split(line)
        answer = CliRunner().invoke(app, arguments)
        assert (program, answer.exit_code) == ("isthmus", 0), (line, answer.output, answer.exception)
    return shell


@pytest.mark.filterwarnings("ignore::isthmus.IsthmusWarning")
@pytest.mark.parametrize("name", sorted(registry()))
def test_offered_commands_of_every_aligner_write_stored_rows_and_queries(name: str, row: Summary, folder: Path) -> None:
    aligner = isthmus.align.get(name)()
    shell = run(commands(replace(row, aligner=aligner), ("image", "text")))
    has_roles = aligner.corrects_scores or name == "Auto"
    assert [line.split("--role ")[-1] for line in shell[1:] if "--role" in line] == (
        ["stored", "stored", "query"] if has_roles else []
    )
    assert (folder / "text_queries.npy").exists() == has_roles
    if has_roles:
        stored, queries = np.load(folder / "image_corrected.npy"), np.load(folder / "text_queries.npy")
        saved = isthmus.align.load(folder / "correction.safetensors")
        texts = np.load(folder / "text.npy")
        np.testing.assert_allclose(queries, saved.query(texts, modality="text"), rtol=1e-5, atol=1e-6)
        scores = saved.scores(texts, np.load(folder / "image.npy"), query="text", stored="image")
        order = np.argsort(-(queries @ stored.T), axis=1)[:, 0]  # one list has the order of the scores
        assert np.mean(order == np.argsort(-scores, axis=1)[:, 0]) > 0.99


@pytest.mark.filterwarnings("ignore::isthmus.IsthmusWarning")
@pytest.mark.parametrize("paired_by", ["column", "files", "arrays", "index", "names", "left out"])
def test_offered_commands_open_the_rows_as_the_report_did(paired_by: str, row: Summary, folder: Path) -> None:
    files, options = ["image.npy", "text.npy"], {}
    ids = np.arange(N)
    expected = []
    if paired_by == "column":
        import pyarrow as pa
        import pyarrow.parquet as pq

        for name in ("image", "text"):
            table = pa.table({"id": ids, "embedding": list(np.load(folder / f"{name}.npy"))})
            pq.write_table(table if name == "image" else table[::-1], folder / f"{name}.parquet")
        files, options, expected = ["image.parquet", "text.parquet"], {"key": "id"}, ["--key id"]
    elif paired_by in ("files", "arrays"):
        np.save(folder / "image_ids.npy", ids)
        np.save(folder / "text_ids.npy", ids[::-1])
        options = {"key": ("image_ids.npy", "text_ids.npy") if paired_by == "files" else (ids, ids[::-1])}
        expected = ["--key image_ids.npy,text_ids.npy"]
    elif paired_by == "index":
        np.save(folder / "index.npy", ids)
        options, expected = {"index": ids}, ["--index index.npy"]
    elif paired_by == "names":
        options, expected = {"names": ("photo", "title")}, ["--names photo,title", "--modality photo"]
    else:
        rows = np.load(folder / "image.npy")
        rows[3] = np.nan
        np.save(folder / "image.npy", rows)
        options, expected = {"drop_bad": True}, ["--drop-bad"]
    pairs = isthmus.open_pairs(*files, **options)
    lines = commands(row, pairs.names, files_of(pairs), pairing=pairs.pairing)
    run(lines)
    assert all(text in lines["shell"] for text in expected)
    scope: dict[str, Any] = {}
    exec(lines["python"], scope)
    assert scope["pairs"].n_pairs == pairs.n_pairs

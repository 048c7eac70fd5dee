"""The verbs `compare` and `compare-merge` of the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from isthmus import InputError
from isthmus.cli import app


@pytest.fixture
def files(rng: np.random.Generator, tmp_path: Path) -> list[str]:
    latent = rng.normal(size=(120, 8))
    for name, axis in (("image", 0), ("text", 1)):
        np.save(tmp_path / f"{name}.npy", latent + 0.5 * rng.normal(size=(120, 8)) + np.eye(8)[axis])
    np.save(tmp_path / "labels.npy", np.arange(120) % 3)
    return [str(tmp_path / "image.npy"), str(tmp_path / "text.npy")]


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


class TestCompare:
    def test_compare_writes_every_output_and_prints_a_table(self, files: list[str], tmp_path: Path) -> None:
        outputs = [str(tmp_path / name) for name in ("run.html", "run.json", "run.csv")]
        options = ["--aligners", "centering", "--splits", "2"]
        result = run("compare", *files, *options, *(argument for path in outputs for argument in ("-o", path)))
        assert result.exit_code == 0, result.output
        assert "Centering" in result.stdout
        assert result.stdout.startswith(("- Recommended: Centering. ", "- None of the corrections tested raises the "))
        head, raw = (next(line for line in result.stdout.splitlines() if line.startswith(w)) for w in ("aligner", "Id"))
        assert [name for name in head.split() if "R@1" in name] == ["R@1", "exchange_R@1", "mixed_R@1"]
        assert "…" not in head + raw  # no column is cut
        assert "gap within noise (Centering): " in result.stdout
        assert all(Path(path).stat().st_size > 100 for path in outputs)
        printed = json.loads(run("compare", *files, *options, "--json").stdout)
        assert printed == json.loads(Path(outputs[1]).read_text(encoding="utf-8"))

    def test_compare_passes_tasks_labels_sweep_sizes_and_journal(self, files: list[str], tmp_path: Path) -> None:
        result = run(
            "compare", *files, "--aligners", "hyperplane-rotation", "--tasks", "all", "--labels",
            str(tmp_path / "labels.npy"), "--sweep", "energy=.9,0.95", "--fit-sizes", "30", "--splits", "1", "--json",
            "--resume", str(tmp_path / "j.jsonl"),
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        rows = json.loads(result.stdout)["rows"]
        assert [row["aligner"] for row in rows][1:] == [
            f"HyperplaneRotation(energy={e}) on 30 items" for e in (0.9, 0.95)
        ]
        assert {"ARI", "zero_shot_accuracy", "NAS@10_x", "kept_32_bins"} <= set(rows[1]["scores"])
        assert len((tmp_path / "j.jsonl").read_text(encoding="utf-8").splitlines()) == 4

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["-o", "table.xlsx"], "a comparison is written as .html, .json, .csv, .md or .tex"),
            (["--aligners", ","], "--aligners ,: names nothing, expected one or more"),
            (["--fit-sizes", ","], "--fit-sizes ,: names nothing, expected one or more"),
            (["--sweep", "energy="], "--sweep energy= : names nothing, expected one or more"),
            (["--sweep", "energy"], "expected NAME=VALUE,VALUE"),
            (["--sample", "9"], "sample=9: expected 100 items or more"),
            (["--fit-sizes", "ten"], "'ten' is not a whole number"),
            (["--tasks", "retrieve"], "unknown task 'retrieve'"),
            (["--labels", "image.npy"], "labels has shape (120, 8), expected one for each of the 120 rows of image"),
        ],
    )
    def test_compare_invalid_options_are_refused(
        self, files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        result = run("compare", *files, *options)
        assert isinstance(result.exception, InputError)
        assert message in str(result.exception)

    def test_compare_fitting_on_the_test_files_is_refused(self, files: list[str]) -> None:
        assert "fit and test are the same files" in str(run("compare", *files, "--fit", *files).exception)

    def test_compare_one_path_is_refused(self, files: list[str]) -> None:
        error = run("compare", files[0]).exception
        assert isinstance(error, InputError)
        assert str(error).endswith(
            "image.npy alone, expected the embeddings of two modalities or more, or a stack (2, n, d) of two"
        )

    def test_compare_with_json_prints_no_progress(self, files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        result = run("compare", *files, "--aligners", "centering", "--splits", "1", "--json")
        assert result.stderr == ""
        from isthmus.cli import progress

        monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
        with progress.stages("x", quiet=True) as update:
            assert update is None
        with progress.stages("x") as update:
            assert update is not None
            update(1, 2, "Centering")


class TestCompareMerge:
    @pytest.fixture
    def runs(self, files: list[str], tmp_path: Path) -> list[str]:
        paths = [str(tmp_path / f"{name}.json") for name in ("centering", "mean-rotation")]
        for path in paths:
            assert run("compare", *files, "--aligners", Path(path).stem, "--splits", "1", "-o", path).exit_code == 0
        return paths

    def test_compare_merge_of_one_data_set_is_one_table(self, runs: list[str], tmp_path: Path) -> None:
        outputs = [str(tmp_path / f"table.{suffix}") for suffix in ("csv", "html")]
        result = run("compare-merge", *runs, "-o", outputs[0], "-o", outputs[1])
        assert result.exit_code == 0, result.output
        for path in outputs:
            text = Path(path).read_text(encoding="utf-8")
            assert "Centering" in text
            assert "MeanRotation" in text
        rows = json.loads(run("compare-merge", *runs, "--json").stdout)["rows"]
        assert [row["aligner"] for row in rows] == ["Identity", "Centering", "MeanRotation"]

    def test_compare_merge_of_several_runs_needs_csv(self, files: list[str], runs: list[str], tmp_path: Path) -> None:
        other = str(tmp_path / "other.json")
        run("compare", *files, "--aligners", "centering", "--splits", "1", "--seed", "1", "-o", other)
        result = run("compare-merge", *runs, other, "-o", str(tmp_path / "table.json"))
        assert "the files hold 2 different runs; only a .csv can hold several" in str(result.exception)
        assert run("compare-merge", *runs, other, "-o", str(tmp_path / "table.csv")).exit_code == 0
        assert len(json.loads(run("compare-merge", *runs, other, "--json").stdout)) == 2

    def test_compare_merge_of_other_files_is_refused(self, files: list[str]) -> None:
        assert "not valid JSON" in str(run("compare-merge", files[0]).exception)

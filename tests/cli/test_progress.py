"""Progress: a line for each finished stage where there is no terminal, nothing with --json and --quiet."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import isthmus
from isthmus.cli import app, progress
from isthmus.cli._help import VERBS
from isthmus.data import equal_rows
from isthmus.statistics import moments_pass
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError
from isthmus.utils.progress import as_steps_of, listening, report_progress


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    rows = np.random.default_rng(0).normal(size=(40, 6))
    for name, offset in (("image", 1.0), ("text", 2.0)):
        np.save(tmp_path / f"{name}.npy", rows + offset)
    return [str(tmp_path / "image.npy"), str(tmp_path / "text.npy")]


@pytest.fixture(autouse=True)
def _not_quiet() -> None:
    progress.set_detail(is_quiet=False, is_verbose=False)


def test_each_finished_stage_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.stages("working"):
        for number in range(3):
            report_progress(number, 3, "reading")
        report_progress(0, None, "drawing")
    lines = capsys.readouterr().err.splitlines()
    assert [re.sub(r"[\d.]+ s", "T", line) for line in lines] == ["isthmus: reading: T", "isthmus: drawing: T"]


def test_stage_that_fails_has_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError), progress.stages("working"):
        report_progress(0, 3, "reading")
        raise InputError("bad rows")
    assert capsys.readouterr().err == ""


def test_bar_shows_stage_and_detail_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress.stages("comparing") as update:
        assert update is not None
        update(1, 2, "Centering")
    assert "comparing: Centering" in capsys.readouterr().err


def test_bar_of_a_stage_that_counts_on_keeps_its_times(monkeypatch: pytest.MonkeyPatch) -> None:
    bar, resets = progress._Bar("training"), []
    monkeypatch.setattr(bar.progress, "reset", lambda *_, **options: resets.append(options["description"]))
    for done, total, stage in ((0, 4, "losses"), (2, 4, "ablations"), (0, 4, "measuring"), (1, 3, "explaining")):
        bar(done, total, stage)
    bar.close()
    assert resets == ["losses", "measuring", "explaining"]


def test_silence_outside_of_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    report_progress(1, 2, "measuring")
    assert capsys.readouterr().err == ""


def test_listener_is_removed_after_its_block() -> None:
    told: list[tuple[int, int | None, str, str]] = []
    with listening(lambda *stage: told.append(stage)):
        report_progress(1, 2, "measuring")
    report_progress(2, 2, "measuring")
    assert told == [(1, 2, "measuring", "")]


@pytest.mark.parametrize("verb", ["measure", "explain"])
def test_verbs_tell_their_stages_but_not_with_json_or_quiet(verb: str, files: list[str]) -> None:
    run = CliRunner().invoke
    assert "isthmus: measuring: " in run(app, [verb, *files]).stderr
    assert run(app, [verb, *files, "--json"]).stderr == ""
    assert run(app, [verb, *files, "--quiet"]).stderr == ""
    assert run(app, [verb, *files, "-q"]).stdout == run(app, [verb, *files]).stdout


def test_report_and_compare_tell_the_comparison(files: list[str], tmp_path: Path) -> None:
    run = CliRunner().invoke
    told = run(app, ["report", *files, "-o", str(tmp_path / "r.html")]).stderr
    stages = re.findall(r"isthmus: (.+): [\d.]+ s", told)
    assert stages == ["comparing corrections", "measuring", "explaining", "drawing the page"]
    told = run(app, ["compare", *files, "--aligners", "Centering", "--splits", "1"]).stderr
    assert told.count("comparing") == 1


def test_steps_of_a_comparison_stay_in_its_stage() -> None:
    steps: list[tuple[int, int | None, str, str]] = []
    with listening(lambda *step: steps.append(step)):
        with as_steps_of("comparing", lambda: (1, 4, "2 of 4")):
            report_progress(0, 3, "index", "corpus 1 of 3")
            report_progress(2, 4, "comparing", "Centering")
        report_progress(0, None, "drawing")
    assert steps == [
        (1, 4, "comparing", "2 of 4, index corpus 1 of 3"), (2, 4, "comparing", "Centering"), (0, None, "drawing", "")
    ]  # fmt: skip


def test_compare_with_a_task_that_takes_long_announces_its_work_and_names_the_modalities(files: list[str]) -> None:
    pytest.importorskip("faiss")
    words = ["compare", *files, "--tasks", "index", "--aligners", "Centering", "--splits", "1"]
    done = CliRunner().invoke(app, words)
    announced, finished = done.stderr.splitlines()
    assert re.search(r"task index builds \d approximate indexes of each modality and of both, for each", announced)
    assert re.fullmatch(r"isthmus: comparing corrections: [\d.]+ s", finished)
    assert "hnsw_image: share of the exact 10 nearest rows" in done.stdout
    assert "for queries of image among text" in done.stdout
    assert "hnsw_x" not in done.stdout
    assert CliRunner().invoke(app, [*words, "--quiet"]).stderr == ""


@pytest.mark.parametrize("aligner", ["Centering", "ScoreCalibration"])
def test_fit_has_a_line_for_each_stage(aligner: str, files: list[str], tmp_path: Path) -> None:
    words = ["fit", aligner, *files, "-o", str(tmp_path / "a.safetensors")]
    stages = re.findall(r"isthmus: (.+): [\d.]+ s\n", CliRunner().invoke(app, words).stderr)
    assert stages == ["reading rows", f"solving {aligner}"]
    assert CliRunner().invoke(app, [*words, "--json"]).stderr == ""


@pytest.mark.parametrize(
    "words",
    [["measure"], ["explain"], ["fit", "Centering", "-o", "a.safetensors"], ["compare"], ["report"], ["intervene"]],
)
def test_opening_of_files_shows_the_search_for_equal_rows(
    words: list[str], files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(equal_rows, "TOLD_BLOCKS", 1)
    monkeypatch.setattr(equal_rows, "block_rows", lambda _: 10)
    run = CliRunner().invoke
    lines = run(app, [*words, *files]).stderr.splitlines()
    assert re.fullmatch(r"isthmus: finding equal rows: [\d.]+ s", lines[0])
    steps = re.findall(r"finding equal rows (\d+)/40: .*image.npy", run(app, [*words, *files, "-v"]).stderr)
    assert steps == ["20"]
    assert run(app, [*words, *files, "--json"]).stderr == ""


def test_models_tell_each_model_of_one_stage(files: list[str]) -> None:
    words, run = ["models", ",".join(files), ",".join(reversed(files)), "--names", "a,b"], CliRunner().invoke
    assert re.fullmatch(r"isthmus: comparing models: [\d.]+ s\n", run(app, words).stderr)
    steps = re.findall(r"comparing models (\d)/5(?:: (\w+)\n|\n)", run(app, [*words, "-v"]).stderr)
    assert steps == [("0", "a"), ("1", "b"), ("4", "differences"), ("5", "")]
    assert run(app, [*words, "--json"]).stderr == ""


def test_reading_of_many_blocks_tells_their_number(files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments_pass, "TOLD_BLOCKS", 0)
    told: list[tuple[int, int | None, str, str]] = []
    pairs = isthmus.open_pairs(*files)
    with listening(lambda *stage: told.append(stage)):
        Moments.of_items(pairs, 0, 40, rows=2, matmul_dtype="float64")
    assert told[:2] == [(0, 20, "reading rows", ""), (16, 20, "reading rows", "")]


def test_description_ends_the_line_of_the_stage_before(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.stages(progress.OPENING):
        report_progress(0, 3, "finding equal rows")
        progress.describe("measuring 3 pairs")
        assert capsys.readouterr().err.startswith("isthmus: finding equal rows: ")
    assert capsys.readouterr().err == ""


def test_fit_of_auto_tells_the_candidates(files: list[str], tmp_path: Path) -> None:
    words = ["fit", "Auto", *files, "-o", str(tmp_path / "a.safetensors")]
    lines = CliRunner().invoke(app, [*words, "-v"]).stderr.splitlines()
    steps = [line.split("choosing a correction ")[1] for line in lines if "choosing a correction" in line]
    numbers = [int(step.split("/")[0]) for step in steps]
    assert numbers == sorted(numbers)
    assert re.match(r"(\d+)/\1: ", steps[-1])  # ends at 100 %


def test_verbose_logs_every_step_with_its_time_and_the_memory(files: list[str]) -> None:
    lines = CliRunner().invoke(app, ["measure", *files, "-v"]).stderr.splitlines()
    assert re.fullmatch(r"isthmus:   0\.\d\d s  isthmus .*, Python 3.*, NumPy .*, \d+ threads?", lines[0])
    assert re.fullmatch(r"isthmus: +\d+\.\d\d s  measuring 1/11: centroid_angle", lines[2])
    assert len([line for line in lines if "measuring" in line]) == 12
    assert re.fullmatch(r"isthmus: .* s  finished: .* s of processor time, .* MB of memory at most", lines[-1])


@pytest.mark.parametrize(("available", "stated"), [(1, "1 thread"), (3, "3 threads")])
def test_log_states_the_threads_that_the_process_may_use(
    available: int, stated: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("isthmus.compute.resources.available_threads", lambda: available)
    progress.set_detail(is_quiet=False, is_verbose=True)
    with progress.stages("working"):
        pass
    assert capsys.readouterr().err.splitlines()[0].endswith(f", {stated}")


def test_log_of_many_steps_ends(capsys: pytest.CaptureFixture[str]) -> None:
    progress.set_detail(is_quiet=False, is_verbose=True)
    with progress.stages("working"):
        for number in range(1000):
            report_progress(number, 1000, "encoding", f"{number} images/s")
    assert len(capsys.readouterr().err.splitlines()) < 250


def test_quiet_and_verbose_together_are_refused(files: list[str]) -> None:
    error = CliRunner().invoke(app, ["measure", *files, "-q", "-v"]).exception
    assert isinstance(error, InputError)
    assert str(error) == "got --quiet and --verbose, expected one of them"


@pytest.mark.parametrize("verb", [name for name in VERBS if name != "list"])
def test_every_verb_has_an_example_and_the_options_of_progress(verb: str) -> None:
    words = {"theory": ["theory", "all"], "train": ["train", "demo"]}.get(verb, [verb])
    text = CliRunner().invoke(app, [*words, "--help"]).stdout
    assert "--quiet" in text
    assert "--verbose" in text
    own_help = CliRunner().invoke(app, [verb, "--help"]).stdout
    assert f"Example: {VERBS[verb].example.split(' -')[0]}"[:60] in " ".join(own_help.split())


@pytest.mark.parametrize(
    "words",
    [
        ["inspect", "image.npy", "text.npy"],
        ["fit", "Centering", "image.npy", "text.npy", "--unpaired"],
        ["fit", "Centering", "image.npy", "text.npy", "audio.npy"],
        ["adapt", "aligner.safetensors", "image.npy", "text.npy"],
        ["apply", "aligner.safetensors", "image.npy", "aligned.npy"],
    ],
)
def test_files_are_opened_while_progress_is_shown(
    words: list[str], files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    image, text = (np.load(path) for path in files)
    np.save("audio.npy", image[::-1])
    isthmus.align.Centering().fit(image=image, text=text).save("aligner.safetensors")
    shown: list[bool] = []

    def open_source(*arguments: Any, **options: Any) -> Any:
        shown.append(progress._display.get() is not None)
        return opened(*arguments, **options)

    opened = isthmus.data.sources.open_source
    monkeypatch.setattr(isthmus.data.sources, "open_source", open_source)
    assert CliRunner().invoke(app, words).exit_code == 0
    assert shown
    assert all(shown)

"""The start of the command line: version, help, messages of misuse, and what is imported for them."""

from __future__ import annotations

import importlib.util
import json
import shlex
import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest
import typer

import isthmus
from isthmus import cli
from isthmus.cli import _application, _catalogue
from isthmus.cli._help import MAX_SUMMARY, VERBS


def run_isthmus(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the program in a process of its own."""
    return subprocess.run([sys.executable, "-m", "isthmus", *words], capture_output=True, text=True, check=False)


def test_version_option_prints_the_version() -> None:
    result = run_isthmus("--version")
    assert (result.returncode, result.stdout) == (0, f"isthmus {isthmus.__version__}\n")


@pytest.mark.parametrize("words", [(), ("measure",), ("theory",), ("train",)], ids=str)
def test_short_help_option_equals_the_long_one(words: tuple[str, ...]) -> None:
    short, long = run_isthmus(*words, "-h"), run_isthmus(*words, "--help")
    assert short.returncode == 0
    assert short.stdout == long.stdout
    assert short.stdout.startswith("Usage: ")


def test_root_help_shows_whole_summaries() -> None:
    text = " ".join(run_isthmus("--help").stdout.split())
    assert "Measure the gap, with 95 % intervals and the values expected by chance." in text
    assert "..." not in text.replace("[ARGS]...", "")


def test_summaries_are_the_first_sentences_of_the_verbs() -> None:
    group = typer.main.get_command(cli.app)
    context = typer.Context(group)
    for name, verb in VERBS.items():
        command = group.get_command(context, name)  # type: ignore[attr-defined]
        assert command.get_short_help_str(limit=MAX_SUMMARY) == verb.summary, name
    assert list(VERBS) == group.list_commands(context)  # type: ignore[attr-defined]


def test_unknown_name_of_the_command_line_is_refused() -> None:
    with pytest.raises(AttributeError, match="isthmus.cli"):
        _ = cli.apps  # type: ignore[attr-defined]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """A catalogue of one entry a topic that is kept in a new folder, and the topics that were computed."""
    computed: list[str] = []

    def list_entries(topic: str) -> dict[str, dict[str, str]]:
        computed.append(topic)
        return {f"entry of {topic}": {"definition": "a definition"}}

    lists = {topic: lambda topic=topic: list_entries(topic) for topic in _catalogue.TOPICS}
    monkeypatch.setattr(_catalogue, "_LISTS", lists)
    monkeypatch.setattr(importlib.util, "cache_from_source", lambda _: str(tmp_path / "cache" / "_catalogue.pyc"))
    return computed


def test_catalogue_is_computed_once_for_one_state_of_the_installation(
    counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _catalogue.catalogue()
    assert _catalogue.catalogue() == first
    assert counted == list(_catalogue.TOPICS)
    monkeypatch.setattr(_catalogue, "__version__", "another version")
    assert _catalogue.catalogue() == first
    assert len(counted) == 2 * len(_catalogue.TOPICS)


def test_catalogue_that_cannot_be_read_or_kept_is_computed(
    counted: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    entries = _catalogue.catalogue()
    (path,) = (tmp_path / "cache").glob("_catalogue.*.json")
    for content in ("{", json.dumps({"metrics": {}})):
        path.write_text(content)
        assert _catalogue.catalogue() == entries
    path.unlink()
    (tmp_path / "cache").rmdir()
    (tmp_path / "cache").write_text("a file")
    assert _catalogue.catalogue() == entries
    declared = EntryPoints([EntryPoint("extra", "math:pi", "isthmus.metrics")])
    monkeypatch.setattr("importlib.metadata.entry_points", lambda: declared)
    assert _catalogue.catalogue() == entries
    assert len(counted) == 5 * len(_catalogue.TOPICS)


@pytest.mark.parametrize(
    ("words", "answers"),
    [(["runs"], True), (["--json", "runs"], True), (["runs", "tasks"], False), (["--help"], False), (["angle"], False)],
    ids=str,
)
def test_list_of_topics_needs_no_library_of_the_command_line(
    words: list[str], answers: bool, counted: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli._print_list(words) == answers
    assert ("entry of runs" in capsys.readouterr().out) == answers


def test_call_without_arguments_prints_the_help() -> None:
    result = run_isthmus()
    assert result.returncode == 2
    assert result.stdout.startswith("Usage: ")
    assert not result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("measure",), "missing argument 'X Y [Z...]'; run `"),
        (("mesure", "a", "b"), "unknown command 'mesure': did you mean 'measure'; run `"),
        (("measure", "a", "b", "--nams", "p,q"), "unknown option '--nams': did you mean '--names'; run `"),
        (("measure", "a", "b", "--names"), "option '--names' needs a value; run `isthmus measure --help`"),
        (("compare", "a", "b", "--splits", "x"), "invalid value for '--splits': expected a whole number; run `"),
        (("explain", "a", "b", "--cosine", "x"), "invalid value for '--cosine': expected a number; run `"),
        (("train", "demos"), "unknown command 'demos': did you mean 'demo'; run `"),
        (("explain", "a", "b", "--cosine", "high"), "invalid value for '--cosine'"),
    ],
)
def test_misuse_gives_one_line_and_exit_code_2(words: tuple[str, ...], message: str) -> None:
    result = run_isthmus(*words)
    assert result.returncode == 2
    assert result.stderr.startswith(f"isthmus: error: {message}")
    assert result.stderr.count("\n") == 1
    assert not result.stdout


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_neither_numpy_nor_rich(option: str) -> None:
    program = (
        "import sys, isthmus.cli; sys.argv = ['isthmus', sys.argv[1]]\n"
        "try: isthmus.cli.main()\n"
        "except SystemExit: print('heavy:', [m for m in ('numpy', 'rich.console', 'scipy') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program, option], capture_output=True, text=True, check=False)
    assert result.stdout.endswith("heavy: []\n"), result.stdout + result.stderr


def test_interrupted_command_ends_with_the_code_of_typer(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    app = typer.Typer()
    app.command()(interrupt)
    monkeypatch.setattr(cli, "app", app)
    monkeypatch.setattr(sys, "argv", ["isthmus"])
    monkeypatch.setattr(_application, "exit_now", lambda: sys.exit(130))  # in a process that has loaded torch
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 130


def test_list_into_a_closed_pipe_ends_without_a_traceback() -> None:
    command = f"{shlex.quote(sys.executable)} -m isthmus list | head -1"
    answer = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "metrics\n", "")

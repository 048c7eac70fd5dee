"""The start of the command line: version, help, messages of misuse, and what is imported for them."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer

import isthmus
from isthmus import cli


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
    assert "Measure the gap, with 95 % intervals and the values that chance gives." in text
    assert "..." not in text.replace("[ARGS]...", "")


def test_call_without_arguments_prints_the_help() -> None:
    result = run_isthmus()
    assert result.returncode == 2
    assert result.stdout.startswith("Usage: ")
    assert not result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("measure",), "missing argument 'X Y [Z...]'; run `"),
        (("mesure", "a", "b"), "no such command 'mesure': did you mean 'measure'; run `"),
        (("measure", "a", "b", "--nams", "p,q"), "no such option: --nams"),
        (("measure", "a", "b", "--names"), "option '--names' requires an argument; run `"),
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
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 130

"""`isthmus train`: the causal experiment in the terminal."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from isthmus.utils.errors import InputError

app = typer.Typer(help="Train dual encoders and watch the gap.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Train dual encoders and watch the gap."""


@app.command()
def demo(
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="DIR", help="folder for the page, JSON and journal")
    ] = Path("isthmus-train"),
    seeds: Annotated[
        int, typer.Option(help="trainings of each setting (twice as many where two losses are compared)")
    ] = 5,
    part: Annotated[
        list[str] | None, typer.Option("--part", help="dose, losses, rivals, shared or sweep; may be repeated")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="fewer settings, two seeds: some minutes")] = False,
    json_: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Train the digits for every loss and temperature and for doses of imposed collapse; write a page and JSON.

    A run that was cut short goes on where it stopped: finished trainings stand in DIR/train.jsonl.
    """
    try:
        import torch  # noqa: F401 (only to say what is missing)
    except ModuleNotFoundError:
        raise InputError("isthmus train needs torch, which is not installed: pip install 'isthmus[torch]'") from None
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from isthmus.studies.training import PARTS, StudyResult, collect, write_page
    from isthmus.studies.training.collect import settings

    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file, a folder was expected")
    parts, seeds = tuple(part or PARTS), 2 if quick else seeds
    for name in parts:
        next(settings(name, seeds=seeds, quick=quick))  # refuses what it does not know before a folder is made
    console = Console(stderr=True)
    with Progress(
        TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        TextColumn("{task.description}"), console=console, transient=True, disable=json_ or not console.is_terminal,
    ) as bar:  # fmt: skip
        task = bar.add_task("", total=None)
        runs = collect(
            parts,
            seeds=seeds,
            quick=quick,
            journal=_folder(out) / "train.jsonl",
            progress=lambda done, total, what: bar.update(task, completed=done, total=total, description=what[:60]),
        )
    result = StudyResult(runs)
    result.save(out / "train.json")
    write_page(result, out / "train.html")
    if json_:
        json.dump(result.to_dict(), sys.stdout, allow_nan=False)
        sys.stdout.write("\n")
        return
    _print(result)
    typer.echo(f"Page: {out / 'train.html'}")


def _folder(out: Path) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    return out


def _print(result: Any) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if result.claims:
        table = Table("case", "the theory says", "measured", "verdict", box=None, pad_edge=False)
        for s in result.claims:
            table.add_row(s.case, s.statement, s.measured, _coloured(s.verdict))
        console.print(table)
    for sentence in result.sentences()[len({s.statement for s in result.claims}) :]:
        console.print(Text(f"- {sentence}"))


def _coloured(verdict: str) -> Any:
    from rich.text import Text

    colour = {"holds": "green", "does not hold": "red"}.get(verdict, "yellow")
    return Text(verdict, colour)

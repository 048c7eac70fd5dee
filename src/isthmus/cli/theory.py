"""`isthmus theory`: the experiments of the theory in the terminal."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

#: what `list --json` says of an experiment
_LISTED = ("name", "kind", "title", "claim", "assumption")


class _Names(TyperGroup):
    """Takes the name of an experiment where a command is expected."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["run", *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_Names,
    help="Run the statements of the theory as experiments: NAME for one, `all` for a page of all.",
    no_args_is_help=True,
    subcommand_metavar="list | NAME | all",
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="One of `isthmus theory list`.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Out = Annotated[Path | None, typer.Option("-o", "--out", metavar="DIR", help="Folder for theory.html.")]
Quick = Annotated[bool, typer.Option("--quick", help="Fewer particles and settings.")]


@app.command("list")
def list_(json_: Json = False) -> None:
    """Name every experiment."""
    from isthmus.studies.theorems import experiments

    entries = experiments().values()
    if json_:
        _print_json({"experiments": [{key: getattr(e, key) for key in _LISTED} for e in entries]})
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "kind", "statement", box=None, pad_edge=False)
    for entry in entries:
        table.add_row(entry.name, entry.kind, entry.title)
    Console().print(table)


@app.command("all")
def all_(out: Out = None, json_: Json = False, quick: Quick = False) -> None:
    """Run every experiment; write the page to DIR (default: here)."""
    _run(None, out, json_=json_, quick=quick)


@app.command("run", hidden=True)
def run_(name: Name, out: Out = None, json_: Json = False, quick: Quick = False) -> None:
    """Run the experiment NAME."""
    _run([name], out, json_=json_, quick=quick)


def _run(names: list[str] | None, out: Path | None, *, json_: bool, quick: bool) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from isthmus.studies.theorems.page import check_folder, collect, write

    wants_page = out is not None or (names is None and not json_)
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=json_ or not console.is_terminal,
    ) as bar:
        task = bar.add_task("theory", total=None)

        def show(done: int, total: int, name: str) -> None:
            bar.update(task, completed=done, total=total, description=name or "done")

        folder = Path(".") if out is None else out
        if wants_page:
            check_folder(folder)  # before minutes of work, not after
        results = collect(names, quick=quick, progress=show)
        page = write(results, folder) if wants_page else None
    if json_:
        _print_json(
            {
                "experiments": [result.to_dict() for result in results],
                "page": None if page is None else str(page),
            }
        )
        return
    for result in results:
        _print(result, brief=names is None)
    if page is not None:
        typer.echo(f"Page: {page}")


def _print(result: Any, *, brief: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from isthmus.studies.theorems.page import number

    console = Console()
    colour = "red" if result.verdict.startswith("fails") else "green" if result.verdict == "holds" else "yellow"
    console.print(Text.assemble((result.title, "bold"), "  ", (result.verdict, colour)))
    if brief:
        return
    console.print(Text(f"Claim: {result.claim}"))
    console.print(Text(f"Assumption: {result.assumption}"))
    table = Table("quantity", "predicted", "measured", "tolerance", "true", box=None, pad_edge=False)
    for row in result.rows:
        table.add_row(
            Text(row.quantity),
            f"{row.relation} {number(row.predicted)}",
            number(row.measured),
            "" if row.tolerance is None else f"± {number(row.tolerance)}",
            "yes" if row.passed else "no",
        )
    console.print(table)
    console.print(Text(f"Finding: {result.finding}"))


def _print_json(values: dict[str, Any]) -> None:
    from isthmus import __version__

    json.dump({"format": 1, "version": __version__, **values}, sys.stdout, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")

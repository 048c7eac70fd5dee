"""`isthmus theory`: the experiments of the theory in the terminal."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from isthmus.cli._help import UncutSummaries
from isthmus.cli.printing import print_line, print_table
from isthmus.cli.progress import stages
from isthmus.utils.errors import InputError
from isthmus.utils.format import precise_number
from isthmus.utils.paths import check_writable_folder
from isthmus.utils.version import __version__

if TYPE_CHECKING:
    from isthmus.studies.theorems import ExperimentResult

#: Fields of an experiment that `list --json` prints.
_LISTED = ("name", "kind", "title", "claim", "assumption")


class _NameOrCommand(UncutSummaries):
    """Accept the name of an experiment in the place of a command."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["run", *args]
        return super().resolve_command(ctx, args)


class _Experiment(TyperCommand):
    """Show the usage of the hidden command that runs one experiment as it is written, without its name."""

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        formatter.write_usage(ctx.parent.command_path, "[OPTIONS] NAME")


app = typer.Typer(
    cls=_NameOrCommand,
    rich_markup_mode=None,
    help="Run numerical experiments that test the theory: NAME runs one, `all` runs all and writes a page. "
    "`isthmus explain` checks on your data which theorems apply.",
    no_args_is_help=True,
    subcommand_metavar="list | NAME | all",
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="one of `isthmus theory list`")]
Json = Annotated[bool, typer.Option("--json", help="print JSON and nothing else")]
Output = Annotated[Path | None, typer.Option("-o", "--output", metavar="DIR", help="folder for theory.html")]
Quick = Annotated[bool, typer.Option("--quick", help="run with fewer pairs and settings")]


@app.command("list", epilog="Example: isthmus theory list --json")
def list_(json_: Json = False) -> None:
    """List every experiment."""
    from isthmus.studies.theorems import experiments

    entries = experiments().values()
    if json_:
        _print_json({"experiments": [{key: getattr(entry, key) for key in _LISTED} for entry in entries]})
        return
    print_table(("name", "kind", "statement"), [(entry.name, entry.kind, entry.title) for entry in entries])


@app.command("all", epilog="Example: isthmus theory all theory-page/ --quick")
def all_(
    folder: Annotated[Path | None, typer.Argument(metavar="DIR", help="folder for theory.html")] = None,
    output: Output = None,
    json_: Json = False,
    quick: Quick = False,
) -> None:
    """Run every experiment and write a page to DIR (default: the current folder).

    An interrupted run is resumed: finished experiments are stored in DIR/theory.jsonl until the page is written.
    """
    if folder is not None and output is not None:
        raise InputError(f"got two folders, {folder} and -o {output}; give one")
    _run(None, folder or output, json_=json_, quick=quick)


@app.command("run", cls=_Experiment, hidden=True, epilog="Example: isthmus theory theorem_3 --quick")
def run_(name: Name, output: Output = None, json_: Json = False, quick: Quick = False) -> None:
    """Run the experiment NAME."""
    _run([name], output, json_=json_, quick=quick)


def _run(names: list[str] | None, output: Path | None, *, json_: bool, quick: bool) -> None:
    from isthmus.studies.theorems._journal import resumable
    from isthmus.studies.theorems.page import collect, write

    wants_page = output is not None or (names is None and not json_)
    folder = output or Path(".")
    if wants_page:
        check_writable_folder(folder)  # fail before minutes of work, not after
    goes_on = wants_page and names is None
    stored = resumable(folder, quick=quick) if goes_on else nullcontext()
    with stages("theory", quiet=json_), stored as journal:
        results = collect(names, quick=quick, journal=journal)
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
        _print_result(result, brief=names is None)
    if page is not None:
        typer.echo(f"Page: {page}")


def _print_result(result: ExperimentResult, *, brief: bool) -> None:
    """Print title and verdict. Unless `brief`, print every check, the finding and the notation, too."""
    from rich.console import Console
    from rich.text import Text

    from isthmus.studies.theorems._notation import meanings

    console = Console()
    has_failed = result.verdict.startswith("fails")
    colour = "red" if has_failed else "green" if result.verdict == "holds" else "yellow"
    console.print(Text.assemble((result.title, "bold"), ": the claim ", (result.verdict, colour)))
    if brief:
        if has_failed:  # the title states what was found, and not the claim
            print_line(f"  Claim: {result.claim}")
        return
    print_line(f"Claim: {result.claim}")
    print_line(f"Assumption: {result.assumption}")
    rows = []
    for row in result.rows:
        tolerance = "" if row.tolerance is None else f" ± {precise_number(row.tolerance)}"
        predicted = f"{row.relation} {precise_number(row.predicted)}".removeprefix("is ") + tolerance
        rows.append((row.quantity, predicted, precise_number(row.measured), "yes" if row.passed else "no"))
    print_table(("quantity", "predicted", "measured", "agrees"), rows, text=0)
    print_line(f"Finding: {result.finding}")
    words = " ".join((result.claim, result.assumption, result.finding, *(row.quantity for row in result.rows)))
    print_line("Notation:")
    for symbol, meaning in meanings(words).items():
        print_line(f"  {symbol}: {meaning}")


def _print_json(values: dict[str, Any]) -> None:
    content = {"format": 1, "version": __version__, **values}
    typer.echo(json.dumps(content, ensure_ascii=False, allow_nan=False))

"""The verb `isthmus train` of the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from isthmus.cli._common import Json
from isthmus.cli._help import UncutSummaries
from isthmus.cli.printing import print_bullets, print_line
from isthmus.cli.progress import stages
from isthmus.utils.errors import import_optional
from isthmus.utils.paths import check_writable_folder
from isthmus.utils.progress import DRAWING, report_progress

app = typer.Typer(
    cls=UncutSummaries, help="Train dual encoders and measure the gap.", no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def group() -> None:
    """Train dual encoders and measure the gap."""


@app.command(epilog="Example: isthmus train demo --quick --part losses -o training/")
def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="folder for the page, JSON and journal")
    ] = Path("isthmus-train"),
    seeds: Annotated[int, typer.Option(help="runs of each setting (twice as many if two losses are compared)")] = 5,
    part: Annotated[
        list[str] | None,
        typer.Option(
            "--part", metavar="NAME", help="collapse, losses, alternatives, shared_space or ablations; may be repeated"
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="fewer settings, two seeds: some minutes")] = False,
    json_: Json = False,
) -> None:
    """Train the digits for every loss, temperature and degree of imposed collapse, and write a page and JSON.

    An interrupted run is resumed: finished training runs are stored in DIR/train.jsonl.
    """
    import_optional("torch", "torch", "isthmus train")
    from isthmus.studies.training import PARTS, StudyResult, run_study, write_page
    from isthmus.studies.training.runner import settings_of

    check_writable_folder(output)
    parts, seeds = tuple(part or PARTS), 2 if quick else seeds
    for name in parts:
        next(settings_of(name, seeds=seeds, quick=quick))  # raises for unknown parts before the folder is created
    output.mkdir(parents=True, exist_ok=True)
    with stages("training", quiet=json_):
        result = StudyResult(run_study(parts, seeds=seeds, quick=quick, journal=output / "train.jsonl"))
        report_progress(0, 1, DRAWING)
        result.save(output / "train.json")
        write_page(result, output / "train.html")
        report_progress(1, 1, DRAWING)
    if json_:
        json.dump(result.to_dict(), sys.stdout, allow_nan=False)
        sys.stdout.write("\n")
        return
    _print_result(result)
    typer.echo(f"Page: {output / 'train.html'}")


def _print_result(result: Any) -> None:
    """Print the verdict on each claim of the theory in each case, and the other sentences as a list."""
    statements = dict.fromkeys(claim.statement for claim in result.claims)
    for statement in statements:
        print_line(f"The theory predicts: {statement}.")
        for claim in result.claims:
            if claim.statement == statement:
                print_line(f"  {claim.verdict}: {claim.case}. Measured: {claim.measured}.")
    if statements:
        print_line("± is half of the 95 % interval over the seeds.")
        typer.echo("")
    n_statements = len(statements)
    print_bullets(result.sentences()[n_statements:])

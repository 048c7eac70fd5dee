"""The verb `models`: several models or checkpoints side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import isthmus
from isthmus.cli._common import AsIs, DropBad, Json, Raw, SampleOfItems, split_names
from isthmus.cli.printing import print_bullets, print_table
from isthmus.cli.progress import OPENING, describe, stages
from isthmus.cli.reading import reading_options
from isthmus.utils.errors import InputError
from isthmus.utils.format import column_numbers, counted
from isthmus.utils.paths import check_output
from isthmus.utils.tabular import SUFFIXES

#: Numbers that are printed.
SHOWN = ("centroid_angle", "centroid_distance", "shared_alignment", "R@1", "exchange_R@1", "mixed_R@1")


def mount(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command()(models)


def models(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...", help="one folder with the files of both modalities, or X.npy,Y.npy, for each model"
        ),
    ],
    output: Annotated[
        list[Path] | None,
        typer.Option("-o", "--output", help="page (.html), .json, .csv, .md or .tex; may be repeated"),
    ] = None,
    names: Annotated[
        str | None, typer.Option(help="comma-separated names of the models; default: taken from the paths")
    ] = None,
    unpaired: Annotated[
        bool, typer.Option("--different-pairs", help="do not assume that row i is the same item in all models")
    ] = False,
    drop_bad: DropBad = False,
    as_is: AsIs = False,
    sample: SampleOfItems = None,
    json_: Json = False,
    raw: Raw = False,
) -> None:
    """Compare models or checkpoints: gap, cosine deficit, collapse, retrieval, mixed search, correlations."""
    from isthmus.diagnosis.models import open_model

    for path in output or []:
        check_output(path, (".html", *SUFFIXES), "a comparison", [file for model in paths for file in model.split(",")])
    titles = split_names(names) or [Path(path.split(",")[0]).stem if "," in path else Path(path).name for path in paths]
    if len(titles) != len(paths) or len(set(titles)) < len(titles):
        raise InputError(
            f"got the names {', '.join(titles)} for {counted(len(paths), 'model')}; give different ones with --names"
        )
    reading: dict[str, Any] = {"drop_bad": drop_bad, "group": not as_is, "normalize": not raw, **reading_options()}
    with stages(OPENING, quiet=json_):
        opened = {title: open_model(path, **reading) for title, path in zip(titles, paths, strict=True)}
        describe(f"comparing {counted(len(opened), 'model')}")
        comparison = isthmus.compare_models(
            opened, same_pairs=False if unpaired else None, normalize=not raw, group=not as_is, sample=sample
        )
    for path in output or []:
        if path.suffix.lower() == ".html":
            from isthmus.reporting.models_page import models_page

            models_page(comparison, path)
        else:
            comparison.save(path)
    if json_:
        typer.echo(comparison.to_json())
        return
    columns = [column_numbers(own[name].value for own in comparison.values()) for name in SHOWN]
    print_table(("model", *SHOWN), list(zip(comparison, *columns, strict=True)))
    typer.echo("")
    print_bullets(comparison.sentences())
    for path in output or []:
        typer.echo(f"Wrote {path}")

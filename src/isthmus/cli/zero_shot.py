"""The verb `zero-shot`: images with class texts and labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from isthmus.cli._common import Json, Names, Raw, print_bullets, print_table, read_array, split_names
from isthmus.cli.progress import stages
from isthmus.cli.reading import reading_options
from isthmus.utils.format import number


def mount(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("zero-shot")(zero_shot)


def zero_shot(
    x: Annotated[str, typer.Argument(metavar="ROWS", help="embeddings to classify, such as images")],
    class_texts: Annotated[str, typer.Argument(metavar="CLASS_TEXTS", help="one embedding for each class")],
    labels: Annotated[Path, typer.Option("--labels", help=".npy with the class of each row")],
    classes: Annotated[
        Path | None, typer.Option("--classes", help=".npy with the class of each class text; default: 0, 1, 2 ...")
    ] = None,
    names: Names = None,
    json_: Json = False,
    raw: Raw = False,
) -> None:
    """Classify rows by the nearest class text: accuracy, also of each class, and the effect of the gap on it."""
    from isthmus.evaluation import evaluate_zero_shot

    with stages("classifying", quiet=json_):
        report = evaluate_zero_shot(
            x,
            class_texts,
            read_array(labels),
            class_names=None if classes is None else read_array(classes),
            names=split_names(names),
            normalize=not raw,
            **reading_options(),
        )
    if json_:
        typer.echo(json.dumps(report.to_dict(), indent=1, allow_nan=False))
        return
    print_bullets(report.sentences())
    cells = [
        (
            str(row["class"]),
            f"{row['rows']:,}",
            *("-" if row[name] is None else number(row[name]) for name in ("accuracy", "centred_accuracy")),
            f"{row['predicted']:,}",
        )
        for row in report.rows()
    ]
    print_table(("class", "rows", "accuracy", "means removed", "predicted"), cells)

"""The verb `zero-shot`: images with class texts and labels."""

from __future__ import annotations

from itertools import compress
from pathlib import Path
from typing import Annotated

import typer

from isthmus.cli._common import Json, Names, Raw, split_names
from isthmus.cli.printing import print_bullets, print_line, print_table
from isthmus.cli.progress import stages
from isthmus.cli.reading import reading_options
from isthmus.utils.format import counted
from isthmus.utils.paths import check_output
from isthmus.utils.tabular import SUFFIXES, display_table


def mount(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("zero-shot")(zero_shot)


def zero_shot(
    x: Annotated[str, typer.Argument(metavar="ROWS", help="embeddings to classify, such as images")],
    class_texts: Annotated[str, typer.Argument(metavar="CLASS_TEXTS", help="one embedding for each class")],
    labels: Annotated[
        Path,
        typer.Option(
            "--labels", help="file with the class of each row: .npy, .txt, .csv, .jsonl or .parquet (FILE::COLUMN)"
        ),
    ],
    classes: Annotated[
        Path | None,
        typer.Option(
            "--classes", help="file with the class of each class text, in a format of --labels; default: 0, 1, 2 ..."
        ),
    ] = None,
    names: Names = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="also write this file: .json, .csv, .md or .tex")
    ] = None,
    drop_bad: Annotated[
        bool, typer.Option("--drop-bad", help="leave out rows that are NaN, infinite or all zeros, with their labels")
    ] = False,
    as_is: Annotated[bool, typer.Option("--as-is", help="count equal rows of a class as different rows")] = False,
    json_: Json = False,
    raw: Raw = False,
) -> None:
    """Classify rows by the nearest class text: accuracy, also of each class, and the effect of the gap on it."""
    from isthmus.evaluation import evaluate_zero_shot

    if output is not None:
        check_output(output, SUFFIXES, "a result", [x, class_texts, labels, classes])
    with stages("classifying", quiet=json_):
        report = evaluate_zero_shot(
            x,
            class_texts,
            str(labels),
            class_names=None if classes is None else str(classes),
            names=split_names(names),
            drop_bad=drop_bad,
            group=not as_is,
            normalize=not raw,
            **reading_options(),
        )
    if output is not None:
        report.save(output)
    if json_:
        typer.echo(report.to_json())
        return
    print_bullets(report.sentences())
    columns = report.columns()
    has_rows = [count > 0 for count in columns["rows"]]
    header, rows = display_table({name: list(compress(values, has_rows)) for name, values in columns.items()})
    print_table(tuple(header), [tuple(row) for row in rows])
    if not all(has_rows):
        n_rows = sum(columns["predicted"]) - sum(compress(columns["predicted"], has_rows))
        absent = counted(has_rows.count(False), "class text")
        print_line(f"Not shown: {absent} whose class has no rows, the nearest of {counted(n_rows, 'row')}.")

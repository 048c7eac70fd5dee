"""What the verbs share: options, the spinner, tables."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

import isthmus
from isthmus.checks import InputError, existing

if TYPE_CHECKING:
    from isthmus.pairs import Pairs

Embeddings = Annotated[
    str,
    typer.Argument(
        help="embeddings: .npy, .npz, .safetensors, .parquet, .arrow, .h5, .pt, .tar, a folder of shards, or the URL "
        "of a parquet file; FILE::NAME picks an array or column"
    ),
]
Names = Annotated[str | None, typer.Option("--names", help="names of the modalities, such as image,text")]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        help="pair by this column of both sides; or COLUMN,COLUMN or files of keys, such as ids_x.npy,ids_y.npy",
    ),
]
Index = Annotated[
    Path | None, typer.Option("--index", help=".npy: for each row of the second side its row of the first")
]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
Raw = Annotated[bool, typer.Option("--no-normalize", help="use the rows as they are, not divided by their norms")]


def open_pairs(
    x: str, y: str, names: str | None, key: str | None = None, *, labels: Path | None = None, index: Path | None = None
) -> Pairs:
    return isthmus.open_pairs(
        x,
        y,
        names=None if names is None else names.split(","),
        index=None if index is None else array(index),
        labels=None if labels is None else array(labels),
        key=key if key is None or "," not in key else tuple(key.split(",")),
    )


def array(path: Path) -> np.ndarray:
    """The numbers or texts in the .npy file `path`, whole."""
    try:
        return np.asarray(np.load(existing(path), allow_pickle=False))
    except (ValueError, EOFError, OSError):
        raise InputError(f"{path}: is no .npy file of numbers or text; save it with numpy.save") from None


def busy(what: str, *, quiet: bool = False) -> Any:
    """A spinner on a terminal's standard error, nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(what)


def say(sentences: list[str]) -> None:
    from rich.console import Console

    for sentence in sentences:
        Console(highlight=False, soft_wrap=not sys.stdout.isatty()).print(f"- {sentence}", markup=False)


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        cells = [
            cell.ljust(w) if i in (0, len(row) - 1) else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        typer.echo("  ".join(cells).rstrip())

"""What the verbs share: options, the spinner, tables."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
    typer.Argument(help=".npy, .npz, .safetensors (FILE::NAME picks an array) or a folder of .npy shards"),
]
Names = Annotated[str | None, typer.Option("--names", help="names of the modalities, such as image,text")]
Index = Annotated[
    Path | None, typer.Option("--index", help=".npy: for each row of the second side its row of the first")
]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
Raw = Annotated[bool, typer.Option("--no-normalize", help="use the rows as they are, not divided by their norms")]


def open_pairs(x: str, y: str, names: str | None, *, index: Path | None = None) -> Pairs:
    return isthmus.open_pairs(
        x, y, names=None if names is None else names.split(","), index=None if index is None else array(index)
    )


def array(path: Path) -> np.ndarray:
    """The numbers or texts in the .npy file `path`, whole."""
    try:
        return np.asarray(np.load(existing(path), allow_pickle=False))
    except (ValueError, EOFError, OSError):
        raise InputError(f"{path}: is no .npy file of numbers or text; save it with numpy.save") from None


#: The spinner that is turning, if one is.
_SPINNING: list[Any] = []


@contextmanager
def busy(what: str, *, quiet: bool = False) -> Iterator[None]:
    """A spinner on a terminal's standard error, nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what) as status:
        _SPINNING.append(status)
        try:
            yield
        finally:
            _SPINNING.remove(status)


def parts_done(done: int, total: int, name: str) -> None:
    """Say beside the spinner how far a cluster is."""
    if _SPINNING:
        _SPINNING[-1].update(f"{name}: {done:,} of {total:,} parts")


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

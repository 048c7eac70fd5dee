"""What the verbs share: options, the spinner, tables."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

import isthmus
from isthmus.utils.errors import InputError
from isthmus.utils.validation import existing

if TYPE_CHECKING:
    from isthmus.data.pairs import Pairs

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
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
Raw = Annotated[bool, typer.Option("--no-normalize", help="use the rows as they are, not divided by their norms")]
Labels = Annotated[Path | None, typer.Option("--labels", help=".npy with a class for each row of the first side")]
Index = Annotated[
    Path | None, typer.Option("--index", help=".npy: for each row of the second side its row of the first")
]
ClassTexts = Annotated[
    Path | None,
    typer.Option("--class-texts", help=".npy with a row of the second side for each class, the classes sorted"),
]
Progress = Callable[[int, int, str], None]


def open_pairs(
    x: str,
    y: str,
    names: str | None,
    key: str | None = None,
    *,
    labels: Path | None = None,
    index: Path | None = None,
    one_space: bool = True,
) -> Pairs:
    return isthmus.open_pairs(
        x,
        y,
        names=split_names(names),
        index=None if index is None else array_in(index),
        labels=None if labels is None else array_in(labels),
        key=key if key is None or "," not in key else tuple(key.split(",")),
        one_space=one_space,
    )


def split_names(names: str | None) -> list[str] | None:
    return None if names is None else names.split(",")


def array_in(path: Path) -> np.ndarray:
    """The plain array in an .npy file."""
    try:
        return np.asarray(np.load(existing(path, "an .npy file of numbers or text"), allow_pickle=False))
    except (ValueError, EOFError, OSError):
        raise InputError(f"{path}: is no .npy file of numbers or text; save it with numpy.save") from None


def class_texts_in(path: Path | None, pairs: Pairs) -> dict[Any, np.ndarray] | None:
    """Class texts by label: row c stands for the c-th of the sorted classes."""
    if path is None:
        return None
    if pairs.labels is None:
        raise InputError("--class-texts needs --labels: the classes are those of the labels, sorted")
    texts, classes = array_in(path), np.unique(pairs.labels)
    if texts.shape != (len(classes), pairs.y.shape[1]):
        raise InputError(
            f"{path}: has shape {texts.shape}, expected ({len(classes)}, {pairs.y.shape[1]}): one row for each class"
        )
    return dict(zip(classes.tolist(), texts, strict=True))


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


@contextmanager
def bar(what: str, *, quiet: bool) -> Iterator[Progress | None]:
    """A progress bar on a terminal's standard error, nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as shown:
        line = shown.add_task(what, total=None)

        def progress(done: int, total: int, name: str) -> None:
            shown.update(line, completed=done, total=total, description=f"{what}: {name}")

        yield progress


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

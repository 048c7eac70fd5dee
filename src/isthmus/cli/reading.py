"""Options of every verb that reads embeddings: how stored numbers become rows of floats."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Any

import typer

OPTIONS: dict[str, tuple[Any, Any]] = {
    "pool": (
        Annotated[
            str | None,
            typer.Option(
                "--pool", help="pool several vectors of an item: mean, max or first; vectors of zeros are padding"
            ),
        ],
        None,
    ),
    "layout": (
        Annotated[
            str | None,
            typer.Option("--raw", help="dtype and width of files without a header, such as float32:512"),
        ],
        None,
    ),
    "scale": (
        Annotated[
            str | None,
            typer.Option(
                "--scale", help="factor of int8 or uint8 codes: a number or a .npy file, or one for each file: X,Y"
            ),
        ],
        None,
    ),
    "offset": (
        Annotated[
            str | None, typer.Option("--offset", help="number added to the scaled codes, in the form of --scale")
        ],
        None,
    ),
    "ranges": (
        Annotated[
            str | None,
            typer.Option(
                "--ranges",
                help=".npy (2, d): minimum and maximum of each coordinate before quantisation to int8 or uint8",
            ),
        ],
        None,
    ),
    "rounding": (
        Annotated[
            str | None,
            typer.Option(
                "--rounding",
                help="how codes of --ranges were rounded: down, nearest or zero; default: recognised, else down",
            ),
        ],
        None,
    ),
    "bits": (
        Annotated[
            bool,
            typer.Option(
                "--bits",
                help="each bit is the sign of a coordinate, as written by numpy.packbits; files of floats, and those "
                "that have a scale or ranges, are read without it",
            ),
        ],
        False,
    ),
}

_options: ContextVar[dict[str, Any]] = ContextVar("reading options", default={})  # noqa: B039  # never changed in place


@contextmanager
def reading_context(*, layout: str | None, quiet: bool, **options: Any) -> Iterator[None]:  # noqa: ARG001
    """Read embeddings with these options of a command."""
    options["raw"] = layout
    parsed = {name: _parsed(name, value) for name, value in options.items() if value is not None}
    token = _options.set({name: value for name, value in parsed.items() if value is not False})
    try:
        yield
    finally:
        _options.reset(token)


def reading_options() -> dict[str, Any]:
    """Return the options of this command, as those of `isthmus.open_pairs`."""
    return _options.get()


def open_sources(paths: list[str], *, min_rows: int = 2) -> list[Any]:
    """Open one source of at least `min_rows` rows for each path with the options of this command."""
    from isthmus.data.reading_options import open_each
    from isthmus.data.sources import open_source

    def open_path(number: int, options: dict[str, Any]) -> Any:
        return open_source(paths[number], **options, min_rows=min_rows)

    return open_each(len(paths), reading_options(), open_path)


def _parsed(name: str, value: Any) -> Any:
    """Return the value of an option, with one value for each file if it has commas."""
    if isinstance(value, str) and "," in value:
        return tuple(_parsed(name, text) if text else None for text in value.split(","))
    if name in ("scale", "offset"):
        try:
            return float(value)
        except ValueError:
            return os.path.abspath(value)  # worker processes have another working directory
    if name == "ranges":
        return os.path.abspath(value)
    return value

"""The verb `export`: a correction as a folder for a model hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

import isthmus
from isthmus.cli._common import Json
from isthmus.cli.progress import stages
from isthmus.utils.errors import InputError


def mount(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command()(export)


def export(
    aligner: Annotated[Path, typer.Argument(help="an aligner saved by `isthmus fit`")],
    folder: Annotated[Path, typer.Argument(help="name of the new folder")],
    comparison: Annotated[
        Path | None, typer.Option("--comparison", help="held-out numbers: .json written by `isthmus compare -o`")
    ] = None,
    licence: Annotated[str | None, typer.Option("--licence", help="licence of the model card, such as mit")] = None,
    model: Annotated[str | None, typer.Option("--model", help="name of the model that is corrected")] = None,
    json_: Json = False,
) -> None:
    """Write an aligner as a folder for a model hub: safetensors, ONNX graphs and a model card."""
    from isthmus.evaluation import load_comparison
    from isthmus.integrations.folder import to_folder

    loaded = isthmus.align.load(aligner)
    if not isinstance(loaded, isthmus.align.Aligner):
        raise InputError(f"{aligner}: holds {type(loaded).__name__}, expected an aligner written by `isthmus fit`")
    numbers = None if comparison is None else load_comparison(comparison)
    with stages("exporting", quiet=json_):
        path = to_folder(loaded, folder, comparison=numbers, licence=licence, model=model)
    files = sorted(file.name for file in path.iterdir())
    if json_:
        typer.echo(json.dumps({"path": str(path), "files": files}))
        return
    typer.echo(f"Wrote {path}: {', '.join(files)}")

"""The verb `encode` of the command line."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from isthmus.cli._common import Json

Progress = Callable[[int, int | None], None]


def mount(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command()(encode)


def encode(
    model: Annotated[
        str,
        typer.Argument(help="folder of a model, a name in the Hugging Face cache, or an architecture with --weights"),
    ],
    data: Annotated[list[Path], typer.Argument(help="folder of images (or .wav), or webdataset tars")],
    output: Annotated[Path, typer.Option("-o", "--output", help="folder for the shards; a broken run goes on there")],
    captions: Annotated[Path | None, typer.Option(help=".csv, .tsv, .jsonl or COCO's .json")] = None,
    image_column: Annotated[str | None, typer.Option(help="of the captions file, when it has an unusual name")] = None,
    caption_column: Annotated[str | None, typer.Option(help="of the captions file, likewise")] = None,
    backend: Annotated[
        str | None, typer.Option(help="open_clip, transformers or sentence_transformers; default: seen from the folder")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="checkpoint of an open_clip architecture")] = None,
    normalize: Annotated[
        bool, typer.Option("--normalize/--raw", help="write unit rows, or rows as long as the model makes them")
    ] = False,
    batch: Annotated[int, typer.Option(help="images at once")] = 64,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps")] = "auto",
    dtype: Annotated[str, typer.Option(help="float32, or bfloat16 or float16 for autocast")] = "float32",
    shard: Annotated[int, typer.Option(help="images in a file, and what a killed run loses at most")] = 10_000,
    workers: Annotated[int, typer.Option(help="loader threads")] = 2,
    json_: Json = False,
) -> None:
    """Run a model over images and captions, and write shards that every other verb reads."""
    # Before the libraries are imported: no part of a model is ever fetched, and their own bars stay away.
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    from isthmus.encode import open_encoder, open_items, run

    items = open_items(data, captions=captions, image_column=image_column, caption_column=caption_column)
    encoder = open_encoder(model, backend=backend, weights=weights, device=device, dtype=dtype)
    what = "images" if encoder.modality == "image" else "sounds"
    with _bar(f"encoding on {encoder.device}", what, quiet=json_) as progress:
        done = run(
            encoder, items, output, normalize=normalize, batch=batch, shard=shard, workers=workers, progress=progress
        )
    if json_:
        typer.echo(json.dumps(done.to_dict(), indent=1))
        return
    typer.echo(f"Encoded {done.images:,} {what} and {done.captions:,} captions: {output}")
    for entry in done.skipped[:5]:
        typer.echo(f"  left out with its captions: {entry['image_id']} {entry['reason']}")
    if len(done.skipped) > 5:
        typer.echo(f"  and {len(done.skipped) - 5:,} more; all are in {output / 'encode.json'}")
    index = f" --index {done.index}" if done.captions != done.images else ""
    typer.echo(f"\nNext: isthmus measure {done.x} {done.y}{index}")


@contextmanager
def _bar(doing: str, what: str, *, quiet: bool) -> Iterator[Progress | None]:
    """A bar with the rate on a terminal's standard error, nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()),
        *(TextColumn("{task.fields[rate]}"), TimeRemainingColumn()),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        line = bar.add_task(doing, total=None, rate="")
        begun: list[tuple[float, int]] = []

        def progress(done: int, total: int | None) -> None:
            begun.append((time.monotonic(), done))
            del begun[1:]  # the rate is that of this run, not of what an earlier one did
            seconds = time.monotonic() - begun[0][0]
            rate = f"{(done - begun[0][1]) / seconds:,.0f} {what}/s" if seconds > 0.1 else ""
            bar.update(line, completed=done, total=total, rate=rate)

        yield progress

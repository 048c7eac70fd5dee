"""The verb `encode` of the command line."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from isthmus.cli._common import Json
from isthmus.cli.progress import WorkNoted, stages
from isthmus.utils.format import counted
from isthmus.utils.progress import ProgressCallback

#: Shorter runs show no rate, in seconds.
MIN_SECONDS_FOR_RATE = 0.1
#: Number of skipped images that are printed.
N_PRINTED_SKIPS = 5


def mount(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command()(encode)


def encode(
    model: Annotated[
        str,
        typer.Argument(help="folder of a model, a name in the Hugging Face cache, or an architecture with --weights"),
    ],
    data: Annotated[list[Path], typer.Argument(help="folder of images (or .wav), or webdataset tars")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="folder for the shards; an interrupted run is resumed")
    ],
    captions: Annotated[Path | None, typer.Option(help=".csv, .tsv, .jsonl or COCO's .json")] = None,
    image_column: Annotated[str | None, typer.Option(help="image column of the captions file, if unusual")] = None,
    caption_column: Annotated[str | None, typer.Option(help="caption column of the captions file, if unusual")] = None,
    backend: Annotated[
        str | None,
        typer.Option(help="open_clip, transformers or sentence_transformers; default: detected from the folder"),
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="checkpoint of an open_clip architecture")] = None,
    normalize: Annotated[
        bool, typer.Option("--normalize/--no-normalize", help="write unit rows, or the vectors of the model")
    ] = False,
    batch: Annotated[int, typer.Option(help="number of images in one call of the model")] = 64,
    media_role: Annotated[
        str | None, typer.Option(help="query or document: role of the images (or sounds), for models with roles")
    ] = None,
    text_role: Annotated[str | None, typer.Option(help="query or document: role of the captions")] = None,
    media_prompt: Annotated[str | None, typer.Option(help="instruction before each image (or sound)")] = None,
    text_prompt: Annotated[str | None, typer.Option(help="text or instruction before each caption")] = None,
    media: Annotated[
        str | None, typer.Option(help="image or audio, for models that encode both; default: image")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps")] = "auto",
    dtype: Annotated[str, typer.Option(help="float32, or bfloat16 or float16 for autocast")] = "float32",
    shard: Annotated[
        int, typer.Option(help="number of images in each file; an interrupted run loses at most one file")
    ] = 10_000,
    workers: Annotated[int, typer.Option(help="number of loader threads")] = 2,
    json_: Json = False,
) -> None:
    """Encode images and captions with a model, and write shards that every other command reads."""
    # Set before the libraries are imported: no file of a model is downloaded, and their progress bars stay hidden.
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    from isthmus.encode import Instructions, open_encoder, open_items, run
    from isthmus.encode.shards import read_record

    read_record(output)  # raises before the model is opened
    items = open_items(data, captions=captions, image_column=image_column, caption_column=caption_column)
    instructions = Instructions(media_role, text_role, media_prompt, text_prompt)
    encoder = open_encoder(
        model, backend=backend, weights=weights, device=device, dtype=dtype, instructions=instructions, media=media
    )
    unit = "images" if encoder.modality == "image" else "sounds"
    with stages(f"encoding on {encoder.device}", quiet=json_) as update:
        work = WorkNoted(None if update is None else _with_rate(update, unit))
        encoded = run(
            encoder,
            items,
            output,
            normalize=normalize,
            batch=batch,
            shard=shard,
            workers=workers,
            progress=work,
        )
    if json_:
        typer.echo(json.dumps(encoded.to_dict() | {"unchanged": not work.was_called}, indent=1))
        return
    counts = f"{encoded.images:,} {unit} and {counted(encoded.captions, 'caption')}"
    if work.was_called:
        typer.echo(f"Encoded {counts}: {output}")
    else:
        typer.echo(f"Nothing was left to do: {counts} are in {output} already")
    for entry in encoded.skipped[:N_PRINTED_SKIPS]:
        typer.echo(f"  skipped with its captions: {entry['image_id']} {entry['reason']}")
    if len(encoded.skipped) > N_PRINTED_SKIPS:
        n_more = len(encoded.skipped) - N_PRINTED_SKIPS
        typer.echo(f"  and {n_more:,} more; all are in {output / 'encode.json'}")
    index_option = f" --index {encoded.index}" if encoded.captions != encoded.images else ""
    typer.echo(f"\nNext: isthmus measure {encoded.x} {encoded.y}{index_option}")


def _with_rate(update: ProgressCallback, unit: str) -> Callable[[int, int | None], None]:
    """Return a callback that shows the rate of this run. Items of an earlier run are not counted."""
    first: list[tuple[float, int]] = []

    def progress(done: int, total: int | None) -> None:
        if not first:
            first.append((time.monotonic(), done))
        seconds = time.monotonic() - first[0][0]
        rate = f"{(done - first[0][1]) / seconds:,.0f} {unit}/s" if seconds > MIN_SECONDS_FOR_RATE else unit
        update(done, total, rate)

    return progress

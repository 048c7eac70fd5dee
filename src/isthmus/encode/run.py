"""The run: items through the model into shards, resumable after a kill."""

from __future__ import annotations

import importlib.metadata
import itertools
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.compute.arrays import unit_rows
from isthmus.encode import media
from isthmus.encode._base import Encoder
from isthmus.encode.items import Item, Items
from isthmus.encode.loading import prefetched
from isthmus.encode.shards import Output, Shard
from isthmus.utils.errors import InputError

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Encoded:
    """What a run has written. `x`, `y` and `index` are the paths to open: `isthmus.open_pairs(x, y, index=...)`."""

    x: Path
    y: Path
    index: Path
    images: int
    captions: int
    skipped: list[dict[str, str]]

    def to_dict(self) -> dict[str, Any]:
        return {
            "x": str(self.x), "y": str(self.y), "index": str(self.index),
            "images": self.images, "captions": self.captions, "skipped": self.skipped,
        }  # fmt: skip


@dataclass(frozen=True)
class _Batch:
    """A batch whose images were read: what the model takes of those that can be used, and the others with reasons."""

    shard: int
    kept: list[Item]
    inputs: Any
    skipped: list[dict[str, str]]


def run(
    encoder: Encoder,
    items: Items,
    output: str | os.PathLike[str],
    /,
    *,
    normalize: bool = False,
    batch: int = 64,
    shard: int = 10_000,
    workers: int = 2,
    progress: Progress | None = None,
) -> Encoded:
    """Encode all items and write the shards; go on after the last whole shard when `output` was begun before.

    Parameters
    ----------
    normalize : write unit rows; otherwise rows as long as the model makes them
    batch : images that the model gets at once, and captions
    shard : items in a file, and what a killed run loses at most
    workers : loader threads
    progress : called with the number of items done and of all (None when that is not known)

    Images that cannot be read and images without a caption are left out together with their pair, and listed.
    Errors: `InputError` when `output` was begun with other settings, fewer than two images are left, or the model
    gives NaN or infinite values.
    """
    for name, value in (("batch", batch), ("shard", shard), ("workers", workers)):
        if value < 1:
            raise InputError(f"{name} is {value}, expected at least 1")
    media.check_installed(encoder.modality)
    settings = {
        "model": encoder.source | {"backend": encoder.backend},
        "preprocessing": encoder.preprocessing(),
        "versions": _versions(encoder.libraries),
        "input": items.facts,
        "options": {
            "device": encoder.device, "dtype": encoder.dtype, "normalize": normalize, "batch": batch, "shard": shard,
        },
    }  # fmt: skip
    out = Output(output, settings, modality=encoder.modality)
    if not out.complete:
        done = sum(s["images"] + s["skipped"] for s in out.record["shards"])
        tell = progress or (lambda *_: None)
        tell(done, items.total)
        jobs = _jobs(items, out.shards, shard, batch)
        with closing(prefetched(lambda job: _load(encoder, *job), jobs, workers=workers)) as loading:
            for _, batches in itertools.groupby(loading, key=lambda loaded: loaded.shard):
                parts = []
                for loaded in batches:
                    parts.append(_encode(encoder, loaded, batch, normalize))
                    done += len(loaded.kept) + len(loaded.skipped)
                    tell(done, items.total)
                out.add(_joined(parts))
        if out.record["images"] < 2:
            first = next((f": {s['image_id']} {s['reason']}" for s in out.record["skipped"]), "")
            raise InputError(f"{out.record['images']} images could be encoded, expected at least two{first}")
        out.finish()
    return Encoded(
        out.path / out.stem, out.path / "text_emb", out.path / "index.npy",
        out.record["images"], out.record["captions"], out.record["skipped"],
    )  # fmt: skip


def _jobs(items: Items, shards_done: int, shard: int, batch: int) -> Iterator[tuple[int, list[Item]]]:
    """(number of the shard, items) for each batch still to do; no batch crosses the end of a shard."""
    rest = itertools.islice(items, shards_done * shard, None)
    for number in itertools.count(shards_done):
        whole = list(itertools.islice(rest, shard))
        if not whole:
            return
        for start in range(0, len(whole), batch):
            yield number, whole[start : start + batch]


def _load(encoder: Encoder, shard: int, items: list[Item]) -> _Batch:
    kept, decoded, skipped = [], [], []
    for item in items:
        try:
            if not item.captions:
                raise media.Unreadable("has no caption")
            try:
                data = item.read()
            except OSError as error:
                raise media.Unreadable(f"cannot be read ({error.strerror})") from None
            decoded.append(media.decode(data, encoder.modality, encoder.sampling_rate))
            kept.append(item)
        except media.Unreadable as error:
            skipped.append({"image_id": item.key, "reason": str(error)})
    return _Batch(shard, kept, encoder.prepare(decoded) if kept else None, skipped)


def _encode(encoder: Encoder, loaded: _Batch, batch: int, normalize: bool) -> Shard:
    if not loaded.kept:
        return Shard(np.empty((0, 0), np.float32), np.empty((0, 0), np.float32), [], loaded.skipped)
    lines = [
        {"image_id": item.key, "image": row, "caption": caption}
        for row, item in enumerate(loaded.kept)
        for caption in item.captions
    ]
    captions = [str(line["caption"]) for line in lines]
    x = encoder.encode_media(loaded.inputs)
    y = np.concatenate(
        [encoder.encode_texts(captions[start : start + batch]) for start in range(0, len(captions), batch)]
    )
    for rows, owners in ((x, list(range(len(x)))), (y, [line["image"] for line in lines])):
        bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if len(bad):
            hint = "use bfloat16 or float32" if encoder.dtype == "float16" else "its weights may be broken"
            raise InputError(
                f"{loaded.kept[owners[bad[0]]].key}: the model gives NaN or infinite values in {encoder.dtype}; {hint}"
            )
    if normalize:
        x, y = unit_rows(x), unit_rows(y)
    return Shard(x, y, lines, loaded.skipped)


def _joined(parts: Sequence[Shard]) -> Shard:
    """The batches of a shard as one; rows of images are then counted from the beginning of the shard."""
    lines, row = [], 0
    for part in parts:
        lines += [line | {"image": row + line["image"]} for line in part.lines]
        row += len(part.media)
    used = [part for part in parts if len(part.media)] or list(parts[:1])
    return Shard(
        np.concatenate([part.media for part in used]),
        np.concatenate([part.texts for part in used]),
        lines,
        [entry for part in parts for entry in part.skipped],
    )


def _versions(libraries: Sequence[str]) -> dict[str, str]:
    """Versions of what decides the vectors; packages that are not there are left out."""
    found = {"python": platform.python_version(), "isthmus": importlib.metadata.version("isthmus")}
    for name in libraries:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found

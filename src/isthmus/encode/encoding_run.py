"""Run of a model over items into shards, which resumes after a kill."""

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
from isthmus.encode.loading import prefetch
from isthmus.encode.shards import Output, Shard
from isthmus.utils.errors import InputError

#: Function of (finished items, all items or None if unknown).
Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Encoded:
    """Describe the files of a run, to open with `isthmus.open_pairs(x, y, index=...)`.

    Parameters
    ----------
    x, y : Path
        Folders of the embeddings of images (or sounds) and of captions.
    index : Path
        File with the row of x for each row of y.
    images, captions : int
        Numbers of rows of x and y.
    skipped : list of dict
        `image_id` and `reason` of each image that was left out.

    Examples
    --------
    >>> encoded = Encoded(Path("out/img_emb"), Path("out/text_emb"), Path("out/index.npy"), 2, 3, [])
    >>> encoded.to_dict()["captions"]
    3
    """

    x: Path
    y: Path
    index: Path
    images: int
    captions: int
    skipped: list[dict[str, str]]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values.

        Returns
        -------
        dict
            Fields by name, paths as strings.
        """
        return {
            "x": str(self.x), "y": str(self.y), "index": str(self.index),
            "images": self.images, "captions": self.captions, "skipped": self.skipped,
        }  # fmt: skip


@dataclass(frozen=True)
class _LoadedBatch:
    """Prepared inputs of the readable items of a batch, and the skipped items with reasons."""

    shard: int
    items: list[Item]
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
    """Encode all items and write shards. An earlier run in `output` is resumed after its last complete shard.

    Images that cannot be read and images without a caption are left out together with their pair, and listed.

    Parameters
    ----------
    encoder : Encoder
        Opened model.
    items : Items
        Images (or sounds) with captions.
    output : path
        Folder of the shards.
    normalize : bool, default False
        Write unit rows instead of the vectors of the model.
    batch : int, default 64
        Number of images, or captions, in one call of the model.
    shard : int, default 10000
        Number of items in a file, which is the most that a killed run loses.
    workers : int, default 2
        Number of loader threads.
    progress : callable or None, default None
        Function of the number of finished items and of all items (None if unknown).

    Returns
    -------
    Encoded
        Paths and counts of the result.

    Raises
    ------
    InputError
        If `output` was started with other settings, fewer than two images are left, or the model returns NaN or
        infinite values.

    Examples
    --------
    >>> encoder = open_encoder("openai/clip-vit-base-patch32")  # doctest: +SKIP
    >>> run(encoder, open_items("photos", captions="captions.csv"), "embeddings").images  # doctest: +SKIP
    5000
    """
    for name, value in (("batch", batch), ("shard", shard), ("workers", workers)):
        if value < 1:
            raise InputError(f"{name} is {value}, expected at least 1")
    media.check_installed(encoder.modality)
    settings = {
        "model": encoder.source | {"backend": encoder.backend},
        "preprocessing": encoder.preprocessing(),
        "versions": _versions(encoder.libraries),
        "input": items.provenance,
        "rows": {
            "text" if kind == "text" else encoder.modality: entry
            for kind, entry in encoder.instructions.to_dict().items()
        },
        "options": {
            "device": encoder.device, "dtype": encoder.dtype, "normalize": normalize, "batch": batch, "shard": shard,
        },
    }  # fmt: skip
    out = Output(output, settings, modality=encoder.modality)
    if not out.complete:
        n_done = sum(entry["images"] + entry["skipped"] for entry in out.record["shards"])
        report = progress or (lambda *_: None)
        report(n_done, items.total)
        jobs = _iter_batches(items, out.n_shards, shard, batch)
        with closing(prefetch(lambda job: _load(encoder, *job), jobs, workers=workers)) as loading:
            for _, batches in itertools.groupby(loading, key=lambda loaded: loaded.shard):
                shard_batches = []
                for loaded in batches:
                    shard_batches.append(_encode(encoder, loaded, batch, normalize))
                    n_done += len(loaded.items) + len(loaded.skipped)
                    report(n_done, items.total)
                out.write_shard(_concatenate(shard_batches))
        if out.record["images"] < 2:
            first = next((f": {s['image_id']} {s['reason']}" for s in out.record["skipped"]), "")
            kind = "images" if encoder.modality == "image" else "sounds"
            other = next((name for name in encoder.media if name != encoder.modality), None)
            hint = f"; for the model's other modality give media={other!r} (--media {other})" if other else ""
            raise InputError(f"{out.record['images']} {kind} could be encoded, expected at least two{first}{hint}")
        out.finish()
    return Encoded(
        out.path / out.media_folder, out.path / "text_emb", out.path / "index.npy",
        out.record["images"], out.record["captions"], out.record["skipped"],
    )  # fmt: skip


def _iter_batches(items: Items, n_shards_done: int, shard: int, batch: int) -> Iterator[tuple[int, list[Item]]]:
    """Yield (number of the shard, items) for each remaining batch. No batch crosses the end of a shard."""
    remaining = itertools.islice(items, n_shards_done * shard, None)
    for number in itertools.count(n_shards_done):
        shard_items = list(itertools.islice(remaining, shard))
        if not shard_items:
            return
        for start in range(0, len(shard_items), batch):
            yield number, shard_items[start : start + batch]


def _load(encoder: Encoder, shard: int, items: list[Item]) -> _LoadedBatch:
    """Read, decode and prepare the items of a batch, in a loader thread."""
    readable, decoded, skipped = [], [], []
    for item in items:
        try:
            if not item.captions:
                raise media.MediaError("has no caption")
            try:
                encoded_bytes = item.read()
            except OSError as error:
                raise media.MediaError(f"cannot be read ({error.strerror})") from None
            decoded.append(media.decode(encoded_bytes, encoder.modality, encoder.sampling_rate))
            readable.append(item)
        except media.MediaError as error:
            skipped.append({"image_id": item.key, "reason": str(error)})
    return _LoadedBatch(shard, readable, encoder.prepare(decoded) if readable else None, skipped)


def _encode(encoder: Encoder, loaded: _LoadedBatch, batch: int, normalize: bool) -> Shard:
    """Encode the images and captions of a loaded batch."""
    if not loaded.items:
        return Shard(np.empty((0, 0), np.float32), np.empty((0, 0), np.float32), [], loaded.skipped)
    captions = [
        {"image_id": item.key, "image": row, "caption": caption}
        for row, item in enumerate(loaded.items)
        for caption in item.captions
    ]
    caption_texts = [str(caption["caption"]) for caption in captions]
    x = encoder.encode_media(loaded.inputs)
    y = np.concatenate(
        [encoder.encode_texts(caption_texts[start : start + batch]) for start in range(0, len(caption_texts), batch)]
    )
    for vectors, image_numbers in ((x, list(range(len(x)))), (y, [caption["image"] for caption in captions])):
        invalid = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(invalid):
            item_key = loaded.items[image_numbers[invalid[0]]].key
            hint = "use bfloat16 or float32" if encoder.dtype == "float16" else "its weights may be broken"
            raise InputError(f"{item_key}: the model returns NaN or infinite values in {encoder.dtype}; {hint}")
    if normalize:
        x, y = unit_rows(x), unit_rows(y)
    return Shard(x, y, captions, loaded.skipped)


def _concatenate(batches: Sequence[Shard]) -> Shard:
    """Return the batches of a shard as one, with image rows counted from the start of the shard."""
    captions, n_images = [], 0
    for encoded in batches:
        captions += [caption | {"image": n_images + caption["image"]} for caption in encoded.captions]
        n_images += len(encoded.media)
    nonempty = [encoded for encoded in batches if len(encoded.media)] or list(batches[:1])
    return Shard(
        np.concatenate([encoded.media for encoded in nonempty]),
        np.concatenate([encoded.texts for encoded in nonempty]),
        captions,
        [entry for encoded in batches for entry in encoded.skipped],
    )


def _versions(libraries: Sequence[str]) -> dict[str, str]:
    """Return the versions of the installed libraries that determine the vectors."""
    versions = {"python": platform.python_version(), "isthmus": importlib.metadata.version("isthmus")}
    for name in libraries:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions

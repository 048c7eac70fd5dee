"""Webdataset tars: members with one name up to the first dot are a sample, such as 000017.jpg and 000017.txt."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from isthmus.encode._captions import CAPTION_COLUMNS, Item
from isthmus.utils.errors import InputError

MEDIA_EXTENSIONS = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "ppm", "wav")
TEXT_EXTENSIONS = ("txt", "caption", "text")

#: Extension -> (offset, size) of a member in the tar.
Sample = dict[str, tuple[int, int]]


def check_tar(path: Path) -> None:
    """Raise InputError for a file that is no plain tar. Members of a compressed one have no offset in the file."""
    try:
        with tarfile.open(path, "r:"):
            pass
    except (tarfile.TarError, OSError) as error:
        if path.suffix.lower() in (".csv", ".tsv", ".json", ".jsonl"):
            advice = "give the folder of the images, and this file with --captions"
            raise InputError(f"{path}: is no .tar; {advice}") from None
        raise InputError(f"{path}: is no plain .tar ({error}); unpack compression first") from None


def iter_items(path: Path) -> Iterator[Item]:
    """Yield the samples of one tar in its order. Samples without an image or sound are left out."""
    sample: Sample = {}
    current_key = None
    try:
        # Only headers are read here. The loader threads read the bytes at their offsets.
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                if not member.isfile():
                    continue
                folder, _, name = member.name.rpartition("/")
                stem, _, extension = name.partition(".")
                key = f"{folder}/{stem}" if folder else stem
                if key != current_key:
                    yield from _make_item(path, current_key, sample)
                    current_key, sample = key, {}
                sample[extension.lower()] = (member.offset_data, member.size)
                tar.members = []  # type: ignore[attr-defined]  # tarfile keeps every header otherwise
    except tarfile.TarError as error:
        raise InputError(f"{path}: is damaged after sample {current_key!r} ({error}); copy the file again") from None
    yield from _make_item(path, current_key, sample)


def _make_item(path: Path, key: str | None, sample: Sample) -> Iterator[Item]:
    """Yield the item of a sample, or nothing if it has no image or sound."""
    media = next((sample[extension] for extension in MEDIA_EXTENSIONS if extension in sample), None)
    if key is None or media is None:
        return
    yield Item(f"{path.stem}/{key}", _read_captions(path, key, sample), partial(_read_bytes, path, *media))


def _read_captions(path: Path, key: str, sample: Sample) -> tuple[str, ...]:
    """Return the captions in the .txt, else under the usual names in the .json, else none."""
    captions: list[str] = []
    try:
        for extension in TEXT_EXTENSIONS:
            if extension in sample:
                return tuple(filter(None, [_read_bytes(path, *sample[extension]).decode("utf-8").strip()]))
        if "json" in sample:
            row = json.loads(_read_bytes(path, *sample["json"]))
            texts: str | list[str] = next((row[name] for name in CAPTION_COLUMNS if row.get(name)), [])
            captions = [text.strip() for text in ([texts] if isinstance(texts, str) else texts)]
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(
            f"{path}: the caption of sample {key!r} cannot be read ({error}); pack it again as UTF-8 text or JSON"
        ) from None
    return tuple(filter(None, captions))


def _read_bytes(path: Path, offset: int, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(size)

"""Webdataset tars: members of one name up to the first dot are one sample, such as 000017.jpg beside 000017.txt."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from isthmus.encode._captions import CAPTION_COLUMNS, Item
from isthmus.utils.errors import InputError

MEDIA = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "ppm", "wav")
TEXTS = ("txt", "caption", "text")


def check(path: Path) -> None:
    """Refuse a file that is no plain tar: members of a compressed one cannot be read by their place."""
    try:
        with tarfile.open(path, "r:"):
            pass
    except (tarfile.TarError, OSError) as error:
        raise InputError(f"{path}: is no plain .tar ({error}); unpack compression first") from None


def items(path: Path) -> Iterator[Item]:
    """The samples of one tar in its order; those without an image or sound are left out."""
    sample: dict[str, tuple[int, int]] = {}
    current = None
    try:
        # Only headers are read here; the loader threads read the bytes by their place.
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                if not member.isfile():
                    continue
                folder, _, name = member.name.rpartition("/")
                stem, _, extension = name.partition(".")
                key = f"{folder}/{stem}" if folder else stem
                if key != current:
                    yield from _item(path, current, sample)
                    current, sample = key, {}
                sample[extension.lower()] = (member.offset_data, member.size)
                tar.members = []  # type: ignore[attr-defined]  # tarfile keeps every header otherwise
    except tarfile.TarError as error:
        raise InputError(f"{path}: is damaged after sample {current!r} ({error}); copy the file again") from None
    yield from _item(path, current, sample)


def _item(path: Path, key: str | None, sample: dict[str, tuple[int, int]]) -> Iterator[Item]:
    media = next((sample[extension] for extension in MEDIA if extension in sample), None)
    if key is None or media is None:
        return
    yield Item(f"{path.stem}/{key}", _captions(path, key, sample), partial(_bytes, path, *media))


def _captions(path: Path, key: str, sample: dict[str, tuple[int, int]]) -> tuple[str, ...]:
    """From the .txt, else from the usual names in the .json; none when there is neither."""
    texts: list[str] = []
    try:
        for extension in TEXTS:
            if extension in sample:
                return tuple(filter(None, [_bytes(path, *sample[extension]).decode("utf-8").strip()]))
        if "json" in sample:
            row = json.loads(_bytes(path, *sample["json"]))
            found: str | list[str] = next((row[name] for name in CAPTION_COLUMNS if row.get(name)), [])
            texts = [text.strip() for text in ([found] if isinstance(found, str) else found)]
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(f"{path}: the caption of sample {key!r} cannot be read ({error})") from None
    return tuple(filter(None, texts))


def _bytes(path: Path, offset: int, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(size)

"""What the readers of captions share: items, and the usual names of columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isthmus.utils.errors import InputError, unknown_name

#: image name -> its captions, both in the order of the file
Captions = dict[str, list[str]]

IMAGE_COLUMNS = (
    *("image", "image_id", "image_name", "image_path", "file_name", "filename", "filepath", "file", "path", "img"),
    *("audio", "audio_path", "key"),
)
CAPTION_COLUMNS = ("caption", "captions", "text", "texts", "sentence", "sentences", "raw", "description", "title")


@dataclass(frozen=True)
class Item:
    """One image or sound: its key, its captions, and how its bytes are read."""

    key: str
    captions: tuple[str, ...]
    read: Callable[[], bytes]


def choose(found: Iterable[str], asked: str | None, usual: tuple[str, ...], what: str, where: str) -> str:
    """The column that was asked for, or the first of the usual names that is there."""
    columns = [str(name) for name in found]
    if asked is not None:
        if asked not in columns:
            raise unknown_name(f"column of {where}", asked, columns)
        return asked
    lower = {name.strip().lower(): name for name in reversed(columns)}
    for name in usual:
        if name in lower:
            return lower[name]
    raise InputError(
        f"{where}: has the columns {', '.join(columns)}, none of which is known to hold the {what}s; say which with "
        f"--{what}-column"
    )


def add(captions: Captions, image: Any, texts: Any, where: str) -> None:
    """Put `texts` (one caption or a list) under `image`; blank ones are left out, so an image may stay without any."""
    if not isinstance(image, str) or not image.strip():
        raise InputError(f"{where}: the image is {image!r}, expected the name of a file")
    texts = texts if isinstance(texts, (list, tuple)) else [texts]
    if not all(isinstance(text, str) or text is None for text in texts):
        raise InputError(f"{where}: the caption is {texts!r}, expected text or a list of texts")
    mine = captions.setdefault(image.strip(), [])
    mine += [text.strip() for text in texts if text and text.strip()]


def decoded(path: Path, data: bytes) -> str:
    """`data` as UTF-8, with or without a byte-order mark."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text (byte {error.start}); convert it first") from None

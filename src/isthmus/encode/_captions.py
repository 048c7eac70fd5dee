"""Items, and the column names that the readers of captions share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isthmus.utils.errors import InputError, unknown_name

#: Image name -> its captions, both in the order of the file.
Captions = dict[str, list[str]]

IMAGE_COLUMNS = (
    *("image", "image_id", "image_name", "image_path", "file_name", "filename", "filepath", "file", "path", "img"),
    *("audio", "audio_path", "key"),
)
CAPTION_COLUMNS = ("caption", "captions", "text", "texts", "sentence", "sentences", "raw", "description", "title")


@dataclass(frozen=True)
class Item:
    """Describe one image or sound with its captions.

    Parameters
    ----------
    key : str
        Name of the image or sound.
    captions : tuple of str
        Its captions, empty if it has none.
    read : callable
        Function without arguments that returns its bytes.

    Examples
    --------
    >>> Item("a.png", ("a cat",), lambda: b"").captions
    ('a cat',)
    """

    key: str
    captions: tuple[str, ...]
    read: Callable[[], bytes]


def find_column(names: Iterable[str], requested: str | None, usual: tuple[str, ...], content: str, origin: str) -> str:
    """Return the requested column, or the first of the usual names that exists.

    `content` says what the column holds ('image' or 'caption'), and `where` names the file or line in errors.
    """
    columns = [str(name) for name in names]
    if requested is not None:
        if requested not in columns:
            raise unknown_name(f"column of {origin}", requested, columns)
        return requested
    by_lower_name = {name.strip().lower(): name for name in reversed(columns)}
    for name in usual:
        if name in by_lower_name:
            return by_lower_name[name]
    raise InputError(
        f"{origin}: has the columns {', '.join(columns)}, none of which is known to hold the {content}s; name it with "
        f"--{content}-column"
    )


def add_captions(captions: Captions, image: Any, texts: Any, origin: str) -> None:
    """Add `texts` (one caption or a list) to `image`. Blank captions are dropped, so that an image may have none."""
    if not isinstance(image, str) or not image.strip():
        raise InputError(f"{origin}: the image is {image!r}, expected the name of a file")
    texts = texts if isinstance(texts, (list, tuple)) else [texts]
    if not all(isinstance(text, str) or text is None for text in texts):
        raise InputError(f"{origin}: the caption is {texts!r}, expected text or a list of texts")
    captions.setdefault(image.strip(), []).extend(text.strip() for text in texts if text and text.strip())


def decode_utf8(path: Path, data: bytes) -> str:
    """Decode the UTF-8 `data` of a file, with or without a byte-order mark."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text (byte {error.start}); convert it first") from None

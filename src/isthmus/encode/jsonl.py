"""Captions in .jsonl: one object on each line, whose caption is a text or a list of texts."""

from __future__ import annotations

import json
from pathlib import Path

from isthmus.encode._captions import (
    CAPTION_COLUMNS,
    IMAGE_COLUMNS,
    Captions,
    add_captions,
    decode_utf8,
    find_column,
)
from isthmus.utils.errors import InputError

SUFFIXES = (".jsonl", ".ndjson")


def read(path: Path, image_column: str | None, caption_column: str | None) -> Captions:
    """Return image names with their captions, in the order of the file."""
    captions: Captions = {}
    for number, line in enumerate(decode_utf8(path, path.read_bytes()).split("\n"), start=1):
        if not line.strip():
            continue
        origin = f"{path}: line {number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"{origin} is not valid JSON ({error}); write one object a line") from None
        if not isinstance(row, dict):
            raise InputError(f'{origin} is no object, expected such as {{"image": "a.jpg", "caption": "a cat"}}')
        image = find_column(row, image_column, IMAGE_COLUMNS, "image", origin)
        caption = find_column(row, caption_column, CAPTION_COLUMNS, "caption", origin)
        add_captions(captions, row[image], row[caption], origin)
    return captions

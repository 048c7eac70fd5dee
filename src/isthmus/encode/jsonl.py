"""Captions in .jsonl: one object a line, the caption a text or a list of texts."""

from __future__ import annotations

import json
from pathlib import Path

from isthmus.encode._captions import CAPTION_COLUMNS, IMAGE_COLUMNS, Captions, add, choose, decoded
from isthmus.utils.errors import InputError

SUFFIXES = (".jsonl", ".ndjson")


def read(path: Path, image_column: str | None, caption_column: str | None) -> Captions:
    """Image names with their captions, in the order of the file."""
    found: Captions = {}
    for number, line in enumerate(decoded(path, path.read_bytes()).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}: line {number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"{where} is not valid JSON ({error})") from None
        if not isinstance(row, dict):
            raise InputError(f'{where} is no object, expected such as {{"image": "a.jpg", "caption": "a cat"}}')
        image = choose(row, image_column, IMAGE_COLUMNS, "image", where)
        caption = choose(row, caption_column, CAPTION_COLUMNS, "caption", where)
        add(found, row[image], row[caption], where)
    return found

"""Captions in COCO's .json: `images` with id and file_name, `annotations` with image_id and caption."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from isthmus.encode._captions import Captions, add_captions, decode_utf8
from isthmus.utils.errors import InputError

SUFFIXES = (".json",)
_EXPECTED = 'expected COCO\'s {"images": [{"id", "file_name"}], "annotations": [{"image_id", "caption"}]}'


def read(path: Path, image_column: str | None, caption_column: str | None) -> Captions:
    """Return image names with their captions, in the order of `images` and of the annotations of each image."""
    if image_column or caption_column:
        raise InputError(f"{path}: COCO's format has fixed names; leave out --image-column and --caption-column")
    try:
        document = json.loads(decode_utf8(path, path.read_bytes()))
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: is not valid JSON ({error}); save it again") from None
    names: dict[Any, str] = {}
    captions: Captions = {}
    try:
        for image in document["images"]:
            names[image["id"]] = image["file_name"]
            add_captions(captions, image["file_name"], [], f"{path}: image {image['id']}")
        for number, annotation in enumerate(document["annotations"]):
            if annotation["image_id"] not in names:
                raise InputError(
                    f"{path}: annotation {number} is of image {annotation['image_id']!r}, which `images` does not list"
                )
            name = names[annotation["image_id"]]
            add_captions(captions, name, annotation["caption"], f"{path}: annotation {number}")
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: is no COCO captions file ({error!r}); {_EXPECTED}") from None
    return captions

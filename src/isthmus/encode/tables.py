"""Captions in .csv or .tsv with a header: one caption on each line, an image may have several lines."""

from __future__ import annotations

import csv
import io
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

SUFFIXES = (".csv", ".tsv")


def read(path: Path, image_column: str | None, caption_column: str | None) -> Captions:
    """Return image names with their captions, in the order of the file."""
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    csv_rows = csv.reader(
        io.StringIO(decode_utf8(path, path.read_bytes()), newline=""), delimiter=delimiter, strict=True
    )
    captions: Captions = {}
    try:
        header = next(csv_rows, None)
        if header is None:
            raise InputError(f"{path}: is empty, expected a header line such as image,caption")
        image_column_number = header.index(find_column(header, image_column, IMAGE_COLUMNS, "image", str(path)))
        caption_column_number = header.index(find_column(header, caption_column, CAPTION_COLUMNS, "caption", str(path)))
        for row in csv_rows:
            if not row:
                continue
            if len(row) != len(header):
                raise InputError(
                    f"{path}: line {csv_rows.line_num} has {len(row)} fields, the header has {len(header)}; put "
                    "captions that contain the separator in double quotes"
                )
            add_captions(
                captions, row[image_column_number], row[caption_column_number], f"{path}: line {csv_rows.line_num}"
            )
    except csv.Error as error:
        raise InputError(f"{path}: line {csv_rows.line_num} cannot be read ({error}); check its quotes") from None
    return captions

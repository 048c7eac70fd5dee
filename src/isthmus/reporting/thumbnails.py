"""Thumbnails of items for a page: small pictures that are encoded anew, so that nothing of a file is copied."""

from __future__ import annotations

import base64
import io
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from isthmus.utils.errors import InputError, IsthmusWarning, import_optional
from isthmus.utils.format import counted
from isthmus.utils.paths import check_readable

#: Longest sides in pixels, the largest first. The first one whose thumbnails fit into `MAX_CHARACTERS` is taken.
SIZES = (96, 72, 48, 32)
#: Characters that the thumbnails may add to a page.
MAX_CHARACTERS = 1_200_000
#: Quality of the encoded thumbnails.
QUALITY = 60
#: Formats that are decoded. Others, such as PostScript, run interpreters.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")


def image_paths(images: Any, n_items: int, /) -> list[Path | None]:
    """Return the path of the image of each item.

    Parameters
    ----------
    images : path or sequence of path
        A folder, whose image files are taken in the order of their names, with numbers in order of their value. A text
        file with a path in each line, relative to the file, where an empty line is an item without image. Or the paths.
    n_items : int
        Number of items.

    Raises
    ------
    InputError
        If their number is not that of the items.
    """
    if isinstance(images, (str, os.PathLike)):
        source = Path(images)
        if source.is_dir():
            files = (entry for entry in source.iterdir() if entry.suffix.lower() in SUFFIXES and entry.name[0] != ".")
            paths: list[Path | None] = [*sorted(files, key=_natural_order)]
            count = f"{source}: found {counted(len(paths), 'image file')}"
            advice = "; a text file with a path in each line leaves some out with an empty line"
        else:
            lines = lines_of(check_readable(source, "a folder of images, or a text file with a path in each line"))
            paths = [source.parent / line.strip() if line.strip() else None for line in lines]
            count, advice = f"{source}: found {len(paths):,} lines", ""
    else:
        paths = [None if path is None else Path(path) for path in images]
        count, advice = f"images: got {counted(len(paths), 'path')}", ""
    if len(paths) != n_items:
        raise InputError(f"{count} for {counted(n_items, 'item')}, expected one for each item{advice}")
    return paths


def lines_of(path: Path, /) -> list[str]:
    """Return the lines of a text file. Only line feeds end a line, as other separators occur inside captions."""
    lines = path.read_text("utf-8", "replace").split("\n")
    return lines[:-1] if not lines[-1] else lines


def make_thumbnails(paths: Sequence[Path | None], items: Iterable[int], /) -> dict[int, str]:
    """Return `data:` addresses of small pictures of these items, by item.

    Parameters
    ----------
    paths : sequence of Path or None
        Result of `image_paths`.
    items : iterable of int
        Numbers of items, as often as the page shows each one.

    Raises
    ------
    InputError
        If none of the images can be read. Single images that cannot be read are left out with a warning.
    """
    uses = Counter(item for item in items if paths[item] is not None)
    import_optional("PIL", "", "thumbnails", package="pillow")
    pictures: dict[int, Any] = {}
    failures: list[str] = []
    for item in sorted(uses):
        path = paths[item]
        try:
            pictures[item] = _read(path)
        except Exception as error:  # decoders raise nearly every exception on damaged files
            # The message may hold the path or bytes of the file, so that only its kind is given.
            failures.append(f"{str(path)[-60:]!r} ({type(error).__name__})")
    if failures:
        sentence = (
            f"{len(failures):,} of the {len(uses):,} images of the page cannot be read, the first is {failures[0]}"
        )
        if not pictures:
            raise InputError(f"images: {sentence}; give files in one of the formats {', '.join(FORMATS)}")
        warnings.warn(f"{sentence}: the page has no thumbnail of these items", IsthmusWarning, stacklevel=2)
    for size in SIZES:
        addresses = {item: _address(picture, size) for item, picture in pictures.items()}
        if sum(len(address) * uses[item] for item, address in addresses.items()) <= MAX_CHARACTERS:
            break
    return addresses


def _natural_order(path: Path) -> list[tuple[int, str]]:
    """Return a key that sorts numbers inside names by value."""
    return [
        (int(piece), "") if piece.isdecimal() else (-1, piece) for piece in re.split(r"([0-9]+)", path.name) if piece
    ]


def _read(path: Path | None) -> Any:
    """Return the image of a file as RGB, at most `SIZES[0]` pixels wide and high."""
    from PIL import Image, ImageOps

    if path is None or not path.is_file():
        raise FileNotFoundError(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path, formats=FORMATS) as image:
            image.draft("RGB", (2 * SIZES[0], 2 * SIZES[0]))  # JPEG is decoded at a lower resolution
            upright = ImageOps.exif_transpose(image)
            opaque = upright.convert("RGBA" if "transparency" in upright.info else "RGB").convert("RGB")
            opaque.thumbnail((SIZES[0], SIZES[0]))
            # Pixels alone: a copy would keep metadata, such as the source where a photograph was taken.
            pixels = Image.new("RGB", opaque.size)
            pixels.paste(opaque)
            return pixels


def _address(picture: Any, size: int) -> str:
    """Return a picture as a `data:` address, at most `size` pixels wide and high."""
    from PIL import features

    small = picture.copy()
    small.thumbnail((size, size))
    kind = "webp" if features.check("webp") else "jpeg"
    buffer = io.BytesIO()
    small.save(buffer, kind, quality=QUALITY)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"

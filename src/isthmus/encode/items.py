"""What is encoded: images (or sounds) with their captions, from a folder and a captions file or webdataset tars."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from isthmus.encode import coco, jsonl, tables, tars
from isthmus.encode._captions import Captions, Item
from isthmus.utils.errors import InputError

__all__ = ["Item", "Items", "open_items"]

#: Readers of captions files; each has SUFFIXES and `read(path, image_column, caption_column)`.
CAPTIONS: tuple[ModuleType, ...] = (tables, jsonl, coco)


@dataclass(frozen=True)
class Items:
    """Items in a fixed order, which can be walked more than once.

    `facts` say in JSON where they come from, `total` is their number when it is known without reading everything.
    """

    walk: Callable[[], Iterator[Item]]
    facts: dict[str, Any]
    total: int | None = None

    def __iter__(self) -> Iterator[Item]:
        return self.walk()


def open_items(
    data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    /,
    *,
    captions: str | os.PathLike[str] | None = None,
    image_column: str | None = None,
    caption_column: str | None = None,
) -> Items:
    """The items in `data`: a folder of images that `captions` names, or one or more webdataset tars.

    Parameters
    ----------
    data : folder of images or sounds; a .tar, several of them, or a folder of them
    captions : .csv, .tsv, .jsonl or COCO's .json; paths in it are relative to `data`
    image_column, caption_column : names in the captions file, when they are not among the usual ones

    Errors: `InputError` when something is missing, is in no known format, or the file names no image of the folder.

    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> size = (folder / "a.png").write_bytes(b"the bytes of an image")
    >>> size = (folder / "captions.csv").write_text("image,caption\\na.png,a cat\\na.png,my cat\\n")
    >>> [(item.key, item.captions) for item in open_items(folder, captions=folder / "captions.csv")]
    [('a.png', ('a cat', 'my cat'))]
    """
    paths = [Path(p) for p in ([data] if isinstance(data, (str, os.PathLike)) else data)]
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder; give a folder of images or webdataset tars")
    if captions is None:
        return _tars(paths)
    if len(paths) != 1 or not paths[0].is_dir():
        raise InputError(f"{paths[0]}: a captions file goes with one folder of images; tars hold their own captions")
    return _folder(paths[0], Path(captions), (image_column, caption_column))


def _folder(folder: Path, file: Path, columns: tuple[str | None, str | None]) -> Items:
    if not file.is_file():
        raise InputError(f"{file}: no such captions file; give a .csv, .tsv, .jsonl or COCO's .json")
    known = {suffix: module for module in CAPTIONS for suffix in module.SUFFIXES}
    module = known.get(file.suffix.lower())
    if module is None:
        raise InputError(f"{file}: is in no known captions format; expected {', '.join(known)}")
    found: Captions = module.read(file, *columns)
    if not found:
        raise InputError(f"{file}: names no image")
    if not any((folder / name).is_file() for name in list(found)[:1000]):
        raise InputError(
            f"{file}: none of its image names is a file in {folder}, such as {next(iter(found))!r}; names are relative "
            "to that folder"
        )

    def walk() -> Iterator[Item]:
        for name, texts in found.items():
            yield Item(name, tuple(texts), (folder / name).read_bytes)

    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    facts = {"format": module.__name__.rpartition(".")[2], "captions": file.name, "captions_sha256": digest}
    return Items(walk, facts, len(found))


def _tars(paths: list[Path]) -> Items:
    files: list[Path] = []
    for path in paths:
        files += sorted(path.glob("*.tar")) if path.is_dir() else [path]
    if not files:
        raise InputError(
            f"{paths[0]}: holds no .tar; a folder of images needs a captions file beside it (--captions FILE)"
        )
    for file in files:
        tars.check(file)

    def walk() -> Iterator[Item]:
        for file in files:
            yield from tars.items(file)

    return Items(walk, {"format": "tars", "files": [[file.name, file.stat().st_size] for file in files]})

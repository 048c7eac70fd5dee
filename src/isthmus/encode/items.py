"""Items to encode: images (or sounds) with captions, from a folder with a captions file or from webdataset tars."""

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

#: Readers of captions files. Each has SUFFIXES and `read(path, image_column, caption_column)`.
CAPTION_READERS: tuple[ModuleType, ...] = (tables, jsonl, coco)
#: Number of image names of a captions file that are looked up in the folder.
N_PROBED_NAMES = 1000


@dataclass(frozen=True)
class Items:
    """Hold items in a fixed order, which can be iterated more than once.

    Parameters
    ----------
    iterate : callable
        Function that returns a new iterator over the items.
    provenance : dict
        JSON values that describe where the items come from.
    total : int or None, default None
        Number of items, None if it is known only after reading everything.

    Examples
    --------
    >>> items = Items(lambda: iter([Item("a.png", ("a cat",), lambda: b"")]), {"format": "list"}, 1)
    >>> [item.key for item in items]
    ['a.png']
    """

    iterate: Callable[[], Iterator[Item]]
    provenance: dict[str, Any]
    total: int | None = None

    def __iter__(self) -> Iterator[Item]:
        return self.iterate()


def open_items(
    data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    /,
    *,
    captions: str | os.PathLike[str] | None = None,
    image_column: str | None = None,
    caption_column: str | None = None,
) -> Items:
    r"""Open the items of a folder of images that `captions` lists, or of one or more webdataset tars.

    Parameters
    ----------
    data : path or sequence of paths
        A folder of images or sounds, a .tar, several of them, or a folder of them.
    captions : path or None, default None
        A .csv, .tsv, .jsonl or COCO .json file. Its paths are relative to `data`.
    image_column, caption_column : str or None, default None
        Names of the columns of the captions file, if they are not among the usual ones.

    Returns
    -------
    Items
        Items in the order of the file or the tars.

    Raises
    ------
    InputError
        If a file is missing or has no known format, or the captions file lists no image of the folder.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> size = (folder / "a.png").write_bytes(b"the bytes of an image")
    >>> size = (folder / "captions.csv").write_text("image,caption\na.png,a cat\na.png,my cat\n")
    >>> [(item.key, item.captions) for item in open_items(folder, captions=folder / "captions.csv")]
    [('a.png', ('a cat', 'my cat'))]
    """
    paths = [Path(p) for p in ([data] if isinstance(data, (str, os.PathLike)) else data)]
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder; give a folder of images or webdataset tars")
    if captions is None:
        return _open_tars(paths)
    if len(paths) != 1 or not paths[0].is_dir():
        raise InputError(f"{paths[0]}: a captions file needs one folder of images; tars hold their own captions")
    return _open_folder(paths[0], Path(captions), (image_column, caption_column))


def _open_folder(folder: Path, file: Path, columns: tuple[str | None, str | None]) -> Items:
    """Return the items of a folder and its captions file."""
    if not file.is_file():
        raise InputError(f"{file}: no such captions file; give a .csv, .tsv, .jsonl or COCO's .json")
    readers = {suffix: module for module in CAPTION_READERS for suffix in module.SUFFIXES}
    reader = readers.get(file.suffix.lower())
    if reader is None:
        raise InputError(f"{file}: is in no known captions format; expected {', '.join(readers)}")
    captions: Captions = reader.read(file, *columns)
    if not captions:
        raise InputError(f"{file}: names no image")
    if not any((folder / name).is_file() for name in list(captions)[:N_PROBED_NAMES]):
        raise InputError(
            f"{file}: none of its image names is a file in {folder}, such as {next(iter(captions))!r}; names are "
            "relative to that folder"
        )

    def iterate() -> Iterator[Item]:
        for name, texts in captions.items():
            yield Item(name, tuple(texts), (folder / name).read_bytes)

    with file.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    provenance = {"format": reader.__name__.rpartition(".")[2], "captions": file.name, "captions_sha256": digest}
    return Items(iterate, provenance, len(captions))


def _open_tars(paths: list[Path]) -> Items:
    """Return the items of tars and of folders of tars."""
    files: list[Path] = []
    for path in paths:
        files += sorted(path.glob("*.tar")) if path.is_dir() else [path]
    if not files:
        raise InputError(
            f"{paths[0]}: holds no .tar; a folder of images needs a captions file beside it (--captions FILE)"
        )
    for tar_file in files:
        tars.check_tar(tar_file)

    def iterate() -> Iterator[Item]:
        for tar_file in files:
            yield from tars.iter_items(tar_file)

    return Items(iterate, {"format": "tars", "files": [[tar_file.name, tar_file.stat().st_size] for tar_file in files]})

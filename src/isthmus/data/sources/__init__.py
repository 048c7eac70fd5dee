"""Embeddings on disk: one file per format. `open_source` finds the format and opens a path without reading it whole."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

from isthmus.data.sources import arrow, folder, hdf5, npy, npz, parquet, safetensors, torch_file, webdataset
from isthmus.data.sources._base import Chain, Source, Writer, modality_name
from isthmus.data.sources._places import Place, Remote, locate, split
from isthmus.utils.errors import InputError

__all__ = [
    "Chain",
    "Source",
    "Writer",
    "format_of",
    "modality_name",
    "open_source",
    "path_name",
    "sniff",
    "split",
    "writable_format",
]

FORMATS: tuple[ModuleType, ...] = (npy, npz, safetensors, parquet, arrow, hdf5, torch_file, webdataset)
#: Names of arrays and columns that say nothing of a modality.
ANY = {"embedding", "embeddings", "emb", "vector", "vectors", "features", "rows", "npy", "arr_0"}
#: Formats that are read through URLs; the others must lie on this machine.
REMOTE = (parquet, arrow)


def sniff(path: str | os.PathLike[str]) -> ModuleType:
    """The module that reads `path`: a folder, else by suffix, else by the first bytes."""
    return _sniff(locate(str(path)))


def _sniff(place: Place) -> ModuleType:
    if place.is_dir():
        return folder
    module = format_of(place)
    if module is None:
        with place.open("rb") as file:
            first = file.read(512)
        module = next((m for m in FORMATS if m.MAGIC is not None and first.startswith(m.MAGIC)), None)
        if module is None and first[257:262] == b"ustar":
            module = webdataset
    if module is None:
        raise InputError(f"{place}: is in no known format; expected {suffixes()} or a folder of shards")
    if isinstance(place, Remote) and module not in REMOTE:
        raise InputError(f"{place}: only parquet and Arrow files are read through URLs; copy it to this machine")
    return module


def format_of(path: Place) -> ModuleType | None:
    """The module whose suffix `path` has."""
    return next((module for module in FORMATS if path.suffix.lower() in module.SUFFIXES), None)


def suffixes() -> str:
    """The suffixes of all formats, for a sentence."""
    return ", ".join(module.SUFFIXES[0] for module in FORMATS)


def writable_format(path: str | os.PathLike[str]) -> ModuleType:
    """The module that writes rows to the name `path`: by its suffix, a folder of shards when it has none.

    Errors: `InputError` when no format has this suffix.
    """
    path = Path(path)
    module = format_of(path) if path.suffix else folder
    if module is None:
        raise InputError(
            f"{path}: aligned rows are written as {suffixes()} or a folder of shards; give a name that ends in one of "
            "them, or in nothing for a folder"
        )
    return module


def open_source(path: str | os.PathLike[str]) -> Source:
    """The embeddings at `path`, a file, folder or URL; `FILE::NAME` picks one array or column of several.

    Errors: `InputError` for a path that is missing, truncated, pickled, empty, of one row, not two-dimensional or
    not of floats, and for a file whose array or column of embeddings is not the only one.
    """
    text, member = split(path)
    place = locate(text)
    module = _sniff(place)
    if module is folder:
        formats = REMOTE if isinstance(place, Remote) else FORMATS
        return folder.open_source(place, member, formats)
    source: Source = module.open_source(place, member)
    return source


def path_name(path: str | os.PathLike[str]) -> str:
    """The modality that a path speaks of, or the array or column that `FILE::NAME` picks unless any could be so called.

    >>> path_name("a/img_emb.npy"), path_name("clip.npz::text"), path_name("laion.parquet::text_embedding")
    ('image', 'text', 'text')
    >>> path_name("image.parquet::embedding")
    'image'
    """
    file, member = split(path)
    named = None if member is None else modality_name(Path(member))
    return modality_name(Path(file)) if named is None or named in ANY else named

"""Embeddings on disk: one file per format. `open_source` finds the format and opens a path without reading it whole."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

from isthmus.checks import InputError, existing
from isthmus.sources import folder, npy, npz, safetensors
from isthmus.sources._base import Chain, Source, Writer, modality_name

__all__ = ["Chain", "Source", "Writer", "modality_name", "open_source", "sniff", "writable_format"]

FORMATS: tuple[ModuleType, ...] = (npy, npz, safetensors)
_MAGIC = {b"\x93NUMPY": npy, b"PK\x03\x04": npz}


def sniff(path: str | os.PathLike[str]) -> ModuleType:
    """The module that reads `path`: a folder, else by suffix, else by the first bytes."""
    path = existing(path)
    if path.is_dir():
        return folder
    for module in FORMATS:
        if path.suffix.lower() in module.SUFFIXES:
            return module
    with path.open("rb") as file:
        first = file.read(6)
    for magic, module in _MAGIC.items():
        if first.startswith(magic):
            return module
    suffixes = ", ".join(s for module in FORMATS for s in module.SUFFIXES)
    raise InputError(f"{path}: is in no known format; expected {suffixes} or a folder of .npy shards")


def open_source(path: str | os.PathLike[str]) -> Source:
    """The embeddings at `path`; `FILE::NAME` picks one array of a file that holds several.

    Errors: `InputError` for a path that is missing, truncated, pickled, empty, of one row, not two-dimensional or
    not of floats.
    """
    text, _, member = str(path).partition("::")
    module = sniff(text)
    source: Source = module.open_source(Path(text), member or None)
    return source


def writable_format(path: str | os.PathLike[str]) -> ModuleType:
    """The module that writes rows to the name `path`: by its suffix, a folder of shards when it has none.

    Errors: `InputError` when no format that can be written has this suffix.
    """
    suffix = Path(path).suffix.lower()
    if not suffix:
        return folder
    formats = [module for module in FORMATS if hasattr(module, "writer")]
    for module in formats:
        if suffix in module.SUFFIXES:
            return module
    suffixes = ", ".join(s for module in formats for s in module.SUFFIXES)
    raise InputError(
        f"{path}: aligned rows are written as {suffixes} or a folder of .npy shards; give a name that ends in one of "
        "them, or in nothing for a folder"
    )

"""Checks of files and folders that are read or written, before the work."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from isthmus.utils.errors import InputError

#: Description of what the caller should pass where rows are read.
EMBEDDINGS = (
    "the path of an embedding file (.npy, .parquet, .h5 ...; see `isthmus list sources`) or of a folder of shards"
)
#: Endings of the names of pages. A name without ending is kept.
PAGE_SUFFIXES = (".html", ".htm", "")


def check_readable(path: str | os.PathLike[str], expected: str = EMBEDDINGS) -> Path:
    """Return a path that exists and can be read.

    Parameters
    ----------
    path : path-like
        File or folder.
    expected : str
        What to pass instead, for the message.

    Returns
    -------
    Path
        The path.

    Raises
    ------
    InputError
        If it does not exist or cannot be read.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; give {expected}")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: cannot be read; check its permissions")
    return path


def check_writable(path: str | os.PathLike[str]) -> Path:
    """Return a path whose folder exists and accepts new files. Nothing is created.

    Parameters
    ----------
    path : path-like
        File to write.

    Returns
    -------
    Path
        The path.

    Raises
    ------
    InputError
        If the path is a folder, or the file cannot be written.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: is a folder, a file name was expected")
    folder = path.parent
    if not folder.is_dir():
        raise InputError(f"{path}: cannot be written because the folder {folder} does not exist; create it first")
    if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise InputError(f"{path}: cannot be written; check the permissions of {folder}")
    return path


def check_suffix(path: str | os.PathLike[str], suffixes: Sequence[str], content: str, /) -> None:
    """Raise an InputError if the name of a file to write ends in another format.

    Parameters
    ----------
    path : path-like
        File to write.
    suffixes : sequence of str
        Endings that are accepted. '' accepts a name without ending.
    content : str
        What is written, such as 'a page'.

    Raises
    ------
    InputError
        If the name has another ending.

    Examples
    --------
    >>> check_suffix("report.html", (".html", ".htm"), "a page")
    """
    if Path(path).suffix.lower() not in suffixes:
        endings = " or ".join(suffix for suffix in suffixes if suffix)
        raise InputError(f"{path}: {content} is written as {endings}; choose this ending")

"""Checks of files and folders that are read or written, before the work."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from isthmus.utils.arguments import shown
from isthmus.utils.errors import InputError

#: Description of what the caller should pass where rows are read.
EMBEDDINGS = (
    "the path of an embedding file (.npy, .parquet, .h5 ...; see `isthmus list sources`) or of a folder of shards"
)
#: Characters of either end of a long path that a message keeps.
SHOWN_END = 30
#: Endings of the names of pages. A name without ending is kept.
PAGE_SUFFIXES = (".html", ".htm", "")


def _as_path(path: Any, expected: str) -> Path:
    """Return a path, or raise `InputError` for something else."""
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"got {shown(path)}, expected {expected}")
    return Path(path)


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
    path = _as_path(path, expected)
    if not exists(path):
        raise InputError(f"{path}: no such file or folder; give {expected}")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: cannot be read; check its permissions")
    return path


def exists(path: str | os.PathLike[str]) -> bool:
    """Return whether a file or folder exists, or raise `InputError` if no file can have this name.

    Parameters
    ----------
    path : path-like
        Path.

    Returns
    -------
    bool
        True if it exists.

    Examples
    --------
    >>> exists("."), exists("no such file")
    (True, False)
    """
    try:
        return Path(path).exists()
    except OSError as error:
        text = str(path)
        shortened = text if len(text) <= 2 * SHOWN_END else f"{text[:SHOWN_END]}...{text[-SHOWN_END:]}"
        reason = (error.strerror or "no path").lower()
        raise InputError(f"{shortened}: {reason} ({len(text):,} characters), expected a path") from None


def check_writable(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file that can be written. A temporary file beside it is created and removed.

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
        If the path is a folder or a device, or the file cannot be written.
    """
    path = _as_path(path, "the name of a file")
    with _translated_errors(path):
        if path.is_dir():
            raise InputError(f"{path}: is a folder, expected the name of a file")
        if not path.parent.is_dir():
            raise InputError(
                f"{path}: cannot be written because the folder {path.parent} does not exist; create it first"
            )
        if path.exists() and not path.is_file():  # a device would be replaced by a file
            raise InputError(f"{path}: is no file, and cannot be replaced by one; choose another name")
        if path.exists() and not os.access(path, os.W_OK):
            raise InputError(f"{path}: cannot be written; check its permissions")
        temporary_beside(path).unlink()
    return path


def check_writable_folder(path: str | os.PathLike[str]) -> Path:
    """Return the path of a folder that can be written or created. Nothing is left behind.

    Parameters
    ----------
    path : path-like
        Folder, whose parents may be missing too.

    Returns
    -------
    Path
        The path.

    Raises
    ------
    InputError
        If the path is a file, or the folder cannot be written or created.
    """
    path = _as_path(path, "the name of a folder")
    with _translated_errors(path):
        existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
        if not existing.is_dir():
            raise InputError(f"{existing}: is a file, expected a folder")
        temporary_beside(existing / path.name).unlink()
    return path


def temporary_beside(path: Path) -> Path:
    """Create an empty temporary file in the folder of `path`.

    Parameters
    ----------
    path : Path
        File that will be written.

    Returns
    -------
    Path
        The temporary file.

    Raises
    ------
    OSError
        If the folder accepts no file, or the name is too long.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    return Path(name)


@contextmanager
def _translated_errors(path: Path) -> Iterator[None]:
    """Raise the errors of the system as InputError."""
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise InputError(
            f"{str(path)[-120:]}: cannot be written ({reason}); choose another name or folder, or check the permissions"
        ) from None


def check_output(
    path: str | os.PathLike[str],
    suffixes: Collection[str],
    content: str,
    /,
    inputs: Iterable[str | os.PathLike[str] | None] = (),
) -> Path:
    """Return the path of a file that can be written, has a known ending, and is not read.

    Parameters
    ----------
    path : path-like
        File to write.
    suffixes : collection of str
        Endings that are accepted. '' accepts a name without ending.
    content : str
        What is written, such as 'a page'.
    inputs : iterable of path-like or None
        Files that are read, such as ``FILE::NAME``.

    Returns
    -------
    Path
        The path.

    Raises
    ------
    InputError
        If the file cannot be written, has another ending, or is one of the inputs.

    Examples
    --------
    >>> check_output("report.html", PAGE_SUFFIXES, "a page", ["image.npy", "text.npy"]).name
    'report.html'
    """
    path = check_writable(path)
    check_suffix(path, suffixes, content)
    for text in inputs:
        file = Path(str(text).partition("::")[0])
        if text is not None and path.exists() and file.exists() and path.samefile(file):
            raise InputError(f"{path}: is a file that is being read; choose another output")
    return path


def check_suffix(path: str | os.PathLike[str], suffixes: Collection[str], content: str, /) -> None:
    """Raise an InputError if the name of a file to write ends in another format.

    Parameters
    ----------
    path : path-like
        File to write.
    suffixes : collection of str
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
        endings = [suffix for suffix in suffixes if suffix]
        listed = ", ".join(endings[:-1]) + " or " * (len(endings) > 1) + endings[-1]
        choice = "one of these endings" if len(endings) > 1 else "this ending"
        raise InputError(f"{path}: {content} is written as {listed}; choose {choice}")

"""The registry of formats, and how the format of a path is found."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TypeVar

from isthmus.data.sources._foreign import check_embeddings, first_bytes
from isthmus.data.sources._format import Format
from isthmus.data.sources._locations import Location, RemotePath, resolve
from isthmus.utils.errors import InputError
from isthmus.utils.registry import Registry

_PACKAGE = "isthmus.data.sources"
FormatClass = TypeVar("FormatClass", bound=type[Format])

#: Every format by its name. The first look-up imports the modules of this package and the entry points.
formats: Registry[Format] = Registry("format", package=_PACKAGE, group="isthmus.formats")


def register(format_class: FormatClass) -> FormatClass:
    """Add a format to `formats`, as a class decorator.

    Parameters
    ----------
    format_class : type
        Subclass of `Format` whose constructor needs no argument.

    Returns
    -------
    type
        The class itself.

    Raises
    ------
    InputError
        If another format has the same name or one of its suffixes, or the name or a suffix is invalid.

    Examples
    --------
    >>> from isthmus.data.sources import Format, formats, register
    >>> @register
    ... class Another(Format):
    ...     name = "another"
    ...     suffixes = (".npy",)
    ...     def open_source(self, location, member=None, *, min_rows=2): ...
    Traceback (most recent call last):
    ...
    isthmus.utils.errors.InputError: format 'another' has the suffix .npy, which belongs to 'npy'; choose another suffix
    """
    if not format_class.__module__.startswith(f"{_PACKAGE}."):
        formats.discover()  # else a built-in format would be the second one, and be refused
    new = format_class()
    if not isinstance(getattr(new, "name", None), str) or not new.name.strip():
        raise InputError(f"format {format_class.__name__} has no name; set the class attribute `name`")
    suffixes = getattr(new, "suffixes", None)
    if not isinstance(suffixes, tuple) or not all(re.fullmatch(r"\.[a-z0-9_]+", suffix) for suffix in suffixes):
        raise InputError(f"format {new.name!r}: suffixes={suffixes!r}, expected lower-case ones such as ('.npy',)")
    for name, registered in formats.registered().items():
        if name == new.name and _qualified_name(registered) == _qualified_name(new):
            formats.unregister(name)  # a notebook cell that is run again
            continue
        shared = set(new.suffixes) & set(registered.suffixes)
        if shared and name != new.name:
            raise InputError(
                f"format {new.name!r} has the suffix {min(shared)}, which belongs to {name!r}; choose another suffix"
            )
    formats.register(new.name, new)
    return format_class


def _qualified_name(member: Format) -> tuple[str, str]:
    return type(member).__module__, type(member).__qualname__


def find_format(path: str | os.PathLike[str] | Location) -> Format:
    """Return the format of an existing file or folder, by its suffix or else by its first bytes.

    Parameters
    ----------
    path : str, path-like or RemotePath
        A file, a folder of shards, or a URL of a file system.

    Returns
    -------
    Format
        The format that reads `path`.

    Raises
    ------
    InputError
        If nothing is there, or its format is unknown or cannot be read through a URL.

    Examples
    --------
    >>> import tempfile
    >>> find_format(tempfile.gettempdir())
    <format folder: no suffix>
    """
    location = path if isinstance(path, RemotePath) else resolve(str(path))
    if location.is_dir():
        return formats["folder"]
    format = format_by_suffix(location)
    head = b""
    if format is None or isinstance(location, Path):
        head = first_bytes(location)
    if isinstance(location, Path):
        check_embeddings(location, head, may_be_pickle=format is not None and format.name == "torch")
    if format is None:
        format = next((candidate for candidate in formats.values() if candidate.matches(head)), None)
    if format is None:
        raise InputError(
            f"{location}: is in no known format; expected {suffix_list()} or a folder of shards; for rows without a "
            "header give --raw float32:512 (raw=)"
        )
    if isinstance(location, RemotePath) and not format.reads_urls:
        remote = " and ".join(
            sorted(candidate.name for candidate in formats.values() if candidate.reads_urls and candidate.suffixes)
        )
        raise InputError(f"{location}: only files of {remote} are read through URLs; copy it to this machine")
    return format


def split_format(text: str) -> tuple[Format | None, str]:
    """Split ``FORMAT:PATH`` into the format that it names and the path. Without a name the format is None.

    >>> split_format("faiss:images.bin"), split_format("images.npy")
    ((<format faiss: .index, .faiss>, 'images.bin'), (None, 'images.npy'))
    """
    name, colon, path = text.partition(":")
    if not colon or path.startswith(":") or not re.fullmatch(r"[a-z][a-z0-9_]+", name) or name not in formats:
        return None, text
    return formats[name], path.removeprefix("//")


def format_by_suffix(location: Location) -> Format | None:
    """Return the format that has the suffix of `location`, or None."""
    suffix = location.suffix.lower()
    return next((candidate for candidate in formats.values() if suffix in candidate.suffixes), None)


def suffix_list(*, writable: bool = False) -> str:
    """Return the usual suffix of each format, or of each that is written, for a message."""
    return ", ".join(
        sorted(
            candidate.suffixes[0]
            for candidate in formats.values()
            if candidate.suffixes and not (writable and _is_read_only(candidate))
        )
    )


def _is_read_only(format: Format) -> bool:
    return type(format).writer is Format.writer


def writable_format(path: str | os.PathLike[str]) -> Format:
    """Return the format that rows are written in to the name `path`.

    Parameters
    ----------
    path : str or path-like
        Name of a new file, or of a new folder if it has no suffix.

    Returns
    -------
    Format
        The format of the suffix, or a folder of shards.

    Raises
    ------
    InputError
        If no format has this suffix, or the format is read but not written.

    Examples
    --------
    >>> writable_format("aligned.parquet"), writable_format("aligned")
    (<format parquet: .parquet, .pq>, <format folder: no suffix>)
    """
    named, text = split_format(str(path))
    path = Path(text)
    format = named or (format_by_suffix(path) if path.suffix else formats["folder"])
    if format is None:
        raise InputError(
            f"{path}: aligned rows are written as {suffix_list(writable=True)} or a folder of shards; give a name that "
            "ends in one of them, or in nothing for a folder"
        )
    if _is_read_only(format):
        suffixes = suffix_list(writable=True)
        raise InputError(
            f"{path}: files of {format.name!r} are read but not written; give a name that ends in one of {suffixes}"
        )
    return format

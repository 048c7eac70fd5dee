"""Locations of embeddings: a local path, or a URL that fsspec opens (`s3://`, `https://`, `memory://` ...)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any

from isthmus.data.sources._stores import unknown_scheme, url_scheme
from isthmus.utils import errors, paths
from isthmus.utils.errors import InputError


class RemotePath:
    """A file or folder behind an fsspec URL, with the part of the interface of `Path` that formats need."""

    def __init__(self, url: str):
        fsspec = errors.import_optional("fsspec", "parquet", f"reading {url}")
        self.url = url.rstrip("/")
        scheme = url_scheme(self.url)
        if scheme is not None and scheme not in {*fsspec.available_protocols(), *fsspec.registry}:
            raise unknown_scheme(self.url) or InputError(f"{url}: cannot be opened; check the address")
        try:
            self._system, self._path = fsspec.core.url_to_fs(self.url)
        except (ValueError, ImportError) as error:
            raise InputError(f"{url}: cannot be opened ({errors.first_line(error)})") from None
        self.name = self.url.rpartition("/")[2]
        self.suffix = Path(self.name).suffix

    @property
    def stem(self) -> str:
        """Return the name without its suffix."""
        return Path(self.name).stem

    def open(self, mode: str = "rb") -> IO[bytes]:
        """Open the file."""
        file: IO[bytes] = self._system.open(self._path, mode)
        return file

    def exists(self) -> bool:
        """Return whether the file or folder exists."""
        return bool(self._system.exists(self._path))

    def is_dir(self) -> bool:
        """Return whether this is a folder."""
        return bool(self._system.isdir(self._path))

    def iterdir(self) -> list[RemotePath]:
        """Return the files of this folder."""
        entries = self._system.ls(self._path, detail=True)
        return [
            RemotePath(f"{self.url}/{entry['name'].rpartition('/')[2]}") for entry in entries if entry["type"] == "file"
        ]

    def __str__(self) -> str:
        return errors.without_password(self.url)  # pages and results hold this text


Location = Path | RemotePath


def split_member(text: str | os.PathLike[str]) -> tuple[str, str | None]:
    """Split ``FILE::NAME`` into the path or URL and the name of the array or column.

    fsspec chains URLs with ``::`` as well, which is no member.

    Parameters
    ----------
    text : str or path-like
        A path or URL.

    Returns
    -------
    path : str
        The path or URL without the member.
    member : str or None
        Name of the array or column.

    Examples
    --------
    >>> split_member("a/b.npz::text"), split_member("s3://b/c.parquet::emb")
    (('a/b.npz', 'text'), ('s3://b/c.parquet', 'emb'))
    >>> split_member("simplecache::s3://b/c.parquet")
    ('simplecache::s3://b/c.parquet', None)
    """
    text = str(text)
    if "://" not in text:
        file, _, member = text.partition("::")
        return file, member or None
    file, colons, member = text.rpartition("::")
    if not colons or "://" in member:
        return text, None
    return file, member or None


def resolve(text: str) -> Location:
    """Return the location that `text` names. Raise InputError if nothing is there."""
    if text.startswith("file://"):
        text = text.removeprefix("file://")
    if "://" not in text:
        error = None if paths.exists(text) else _filtered_file(text) or unknown_scheme(text)
        if error is not None:
            raise error
        path = paths.check_readable(text)
        if not (path.is_file() or path.is_dir()):  # a pipe or a device may never end
            raise InputError(f"{text}: is a pipe or a device, expected a file or a folder; save its content to a file")
        return path
    location = RemotePath(text)
    try:
        if location.exists():
            return location
    except Exception as error:  # each file system raises errors of its own
        raise InputError(f"{text}: cannot be opened ({errors.first_line(error)})") from None
    raise InputError(f"{text}: no such file or folder")


def _filtered_file(text: str) -> InputError | None:
    """Return the error for a file with the filter of a vector store, or None for other paths."""
    file, mark, condition = text.partition("?")
    if not mark or not Path(file).is_file():
        return None
    has_ids = file.endswith((".index", ".faiss"))
    wanted = f"give a file of their ids as {file}::IDS.npy" if has_ids else "write these rows to a file of their own"
    return InputError(f"{file}: is a file, and '?{condition}' selects rows of a vector store only; {wanted}")


def open_arrow_file(location: Location) -> Any:
    """Open `location` as a file of Arrow, memory-mapped if it is local."""
    import pyarrow as pa

    if isinstance(location, RemotePath):
        return pa.PythonFile(location.open(), mode="r")
    return pa.memory_map(str(location), "r")

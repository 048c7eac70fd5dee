"""Where embeddings lie: a path of this machine, or a URL that fsspec opens (`s3://`, `https://`, `memory://` ...)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any

from isthmus.utils import errors, validation
from isthmus.utils.errors import InputError


class Remote:
    """A file or folder behind an fsspec URL, with as much of `Path` as sources need."""

    def __init__(self, url: str):
        fsspec = errors.import_optional("fsspec", "parquet", f"reading {url}")
        self.url = url.rstrip("/")
        try:
            self._system, self._path = fsspec.core.url_to_fs(self.url)
        except (ValueError, ImportError) as error:
            raise InputError(f"{url}: cannot be opened ({errors.first_line(error)})") from None
        self.name = self.url.rpartition("/")[2]
        self.suffix = Path(self.name).suffix

    @property
    def stem(self) -> str:
        return Path(self.name).stem

    def open(self, mode: str = "rb") -> IO[bytes]:
        file: IO[bytes] = self._system.open(self._path, mode)
        return file

    def exists(self) -> bool:
        return bool(self._system.exists(self._path))

    def is_dir(self) -> bool:
        return bool(self._system.isdir(self._path))

    def iterdir(self) -> list[Remote]:
        """The files of this folder."""
        found = self._system.ls(self._path, detail=True)
        return [Remote(f"{self.url}/{f['name'].rpartition('/')[2]}") for f in found if f["type"] == "file"]

    def __str__(self) -> str:
        return self.url


Place = Path | Remote


def split(text: str | os.PathLike[str]) -> tuple[str, str | None]:
    """The path or URL and the member of `FILE::NAME`; fsspec chains URLs with `::` too.

    >>> split("a/b.npz::text"), split("s3://b/c.parquet::emb"), split("simplecache::s3://b/c.parquet")
    (('a/b.npz', 'text'), ('s3://b/c.parquet', 'emb'), ('simplecache::s3://b/c.parquet', None))
    """
    text = str(text)
    if "://" not in text:
        file, _, member = text.partition("::")
        return file, member or None
    file, colons, member = text.rpartition("::")
    if not colons or "://" in member:
        return text, None
    return file, member or None


def locate(text: str) -> Place:
    """The place that `text` names; `InputError` when nothing is there."""
    if text.startswith("file://"):
        text = text.removeprefix("file://")
    if "://" not in text:
        return validation.check_readable(text)
    place = Remote(text)
    try:
        if place.exists():
            return place
    except Exception as error:  # each file system has errors of its own
        raise InputError(f"{text}: cannot be opened ({errors.first_line(error)})") from None
    raise InputError(f"{text}: no such file or folder")


def opened(place: Place) -> Any:
    """`place` as a file for Arrow: mapped when it lies on this machine."""
    import pyarrow as pa

    return pa.PythonFile(place.open(), mode="r") if isinstance(place, Remote) else pa.memory_map(str(place), "r")

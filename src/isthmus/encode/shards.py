"""The folder that is written: shards in clip-retrieval's layout, and the record by which a broken run goes on.

    OUT/img_emb/img_emb_0.npy          one row for each image (audio_emb/ for sounds)
    OUT/text_emb/text_emb_0.npy        one row for each caption
    OUT/metadata/metadata_0.parquet    for each row of text_emb: image_id, image (its row in img_emb), caption
    OUT/index.npy                      for each row of text_emb its row in img_emb; there once the run is complete
    OUT/encode.json                    model, versions, preprocessing, input, options, shards, and what was skipped

Every file appears whole or not at all, and a shard counts once encode.json names it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.utils.errors import InputError
from isthmus.utils.files import atomic_path

FORMAT = 1
RECORD = "encode.json"


@dataclass(frozen=True)
class Shard:
    """What one shard holds; all its rows in memory while it is written."""

    media: np.ndarray
    texts: np.ndarray
    lines: list[dict[str, Any]]
    skipped: list[dict[str, str]]


class Output:
    """The folder `path`, new or begun by a run of the same `settings`.

    Errors: `InputError` when the folder holds something else or was begun with other settings.
    """

    def __init__(self, path: str | os.PathLike[str], settings: dict[str, Any], *, modality: str):
        self.path = Path(path)
        settings = json.loads(json.dumps(settings))  # as it will be read again: tuples are lists then
        self.stem = {"image": "img_emb"}.get(modality, f"{modality}_emb")
        self.record: dict[str, Any] = {
            "kind": "encoding", "format": FORMAT, "complete": False, **settings,
            "images": 0, "captions": 0, "shards": [], "skipped": [],
        }  # fmt: skip
        begun = read_record(self.path)
        if begun is not None:
            for part in settings:
                _same(begun.get(part), settings[part], part, self.path)
            self.record = begun

    @property
    def shards(self) -> int:
        """How many shards are done."""
        return len(self.record["shards"])

    @property
    def complete(self) -> bool:
        return bool(self.record["complete"])

    def add(self, shard: Shard) -> None:
        """Write the next shard; a shard without rows leaves only its entry in the record."""
        number, before = self.shards, self.record["images"]
        if len(shard.media):
            if not (self.path / RECORD).exists():
                self._save()  # first, so that whatever a kill leaves is known as this run's
            lines = [line | {"image": before + line["image"]} for line in shard.lines]
            self._write(f"{self.stem}/{self.stem}_{number}.npy", shard.media)
            self._write(f"text_emb/text_emb_{number}.npy", shard.texts)
            self._write(f"metadata/metadata_{number}.parquet", lines)
        self.record["images"] += len(shard.media)
        self.record["captions"] += len(shard.texts)
        self.record["shards"].append(
            {"images": len(shard.media), "captions": len(shard.texts), "skipped": len(shard.skipped)}
        )
        self.record["skipped"] += shard.skipped
        if self.record["images"]:  # input of which nothing can be used leaves no folder
            self._save()

    def finish(self) -> None:
        """Write the index and mark the run as complete."""
        from pyarrow import parquet

        index = np.empty(self.record["captions"], dtype=np.int64)
        row = 0
        for number, shard in enumerate(self.record["shards"]):
            if shard["images"]:
                lines = parquet.read_table(self.path / f"metadata/metadata_{number}.parquet", columns=["image"])
                index[row : row + shard["captions"]] = lines["image"].to_numpy()
                row += shard["captions"]
        self._write("index.npy", index)
        self.record["complete"] = True
        self._save()
        for left in self.path.rglob(".*.part"):  # of writes that were killed
            left.unlink()

    def _save(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        with atomic_path(self.path / RECORD) as part:
            part.write_text(json.dumps(self.record, indent=1, ensure_ascii=False), encoding="utf-8")

    def _write(self, name: str, content: np.ndarray | Sequence[dict[str, Any]]) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as part, part.open("wb") as file:
            if isinstance(content, np.ndarray):
                np.save(file, content, allow_pickle=False)
            else:
                import pyarrow
                from pyarrow import parquet

                parquet.write_table(pyarrow.Table.from_pylist(list(content), schema=_columns()), file)


def _columns() -> Any:
    import pyarrow

    return pyarrow.schema({"image_id": pyarrow.string(), "image": pyarrow.int64(), "caption": pyarrow.string()})


def read_record(path: Path) -> dict[str, Any] | None:
    """The record of the run that began the folder `path`; None when nothing is there yet."""
    if not path.exists():
        if not path.parent.is_dir():
            raise InputError(f"{path}: cannot be written because {path.parent} does not exist; create it first")
        return None
    if not path.is_dir():
        raise InputError(f"{path}: is a file, expected a folder for the shards")
    file = path / RECORD
    if not file.exists():
        if any(not p.name.endswith(".part") for p in path.iterdir()):
            raise InputError(f"{path}: holds files but no {RECORD}; give a new folder")
        return None
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{file}: is not valid JSON ({error}); give a new folder") from None
    if not isinstance(record, dict) or record.get("kind") != "encoding" or record.get("format", 0) > FORMAT:
        raise InputError(f"{file}: is no record of `isthmus encode` of this version; give a new folder")
    return record


def _same(begun: Any, now: Any, where: str, path: Path) -> None:
    """Refuse to go on with other settings, and name the first that differs."""
    if isinstance(begun, dict) and isinstance(now, dict):
        for key in [*now, *(key for key in begun if key not in now)]:
            _same(begun.get(key), now.get(key), f"{where}.{key}", path)
    elif begun != now:
        raise InputError(f"{path}: was begun with {where} = {begun!r}, now it is {now!r}; give a new folder")

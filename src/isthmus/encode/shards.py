"""Output folder of a run: shards in the layout of clip-retrieval, and the record that lets a killed run resume.

    OUT/img_emb/img_emb_0.npy          one row for each image (audio_emb/ for sounds)
    OUT/text_emb/text_emb_0.npy        one row for each caption
    OUT/metadata/metadata_0.parquet    for each row of text_emb: image_id, image (its row in img_emb), caption
    OUT/index.npy                      for each row of text_emb its row in img_emb, written when the run is complete
    OUT/encode.json                    model, versions, preprocessing, input, options, shards and skipped images

Files are replaced atomically. A shard counts once encode.json lists it.
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
from isthmus.utils.paths import check_writable_folder

FORMAT = 1
RECORD = "encode.json"


@dataclass(frozen=True)
class Shard:
    """Rows and metadata of one shard, which are in memory while it is written."""

    media: np.ndarray
    texts: np.ndarray
    captions: list[dict[str, Any]]
    skipped: list[dict[str, str]]


class Output:
    """Output folder, new or started by a run with the same `settings`.

    Raise InputError if the folder holds other files or was started with other settings.
    """

    def __init__(self, path: str | os.PathLike[str], settings: dict[str, Any], *, modality: str):
        self.path = Path(path)
        settings = json.loads(json.dumps(settings))  # JSON reads tuples back as lists
        self.media_folder = {"image": "img_emb"}.get(modality, f"{modality}_emb")
        self.record: dict[str, Any] = {
            "kind": "encoding", "format": FORMAT, "complete": False, **settings,
            "images": 0, "captions": 0, "shards": [], "skipped": [],
        }  # fmt: skip
        earlier_record = read_record(self.path)
        if earlier_record is not None:
            for key in settings:
                _refuse_change(earlier_record.get(key), settings[key], key, self.path)
            self.record = earlier_record

    @property
    def n_shards(self) -> int:
        """Number of finished shards."""
        return len(self.record["shards"])

    @property
    def complete(self) -> bool:
        """True if the run is finished."""
        return bool(self.record["complete"])

    def write_shard(self, shard: Shard) -> None:
        """Write the next shard. A shard without rows adds only its entry in the record."""
        number, n_images = self.n_shards, self.record["images"]
        if len(shard.media):
            if not (self.path / RECORD).exists():
                self._save_record()  # before the rows, so that the files of a killed run belong to a record
            captions = [caption | {"image": n_images + caption["image"]} for caption in shard.captions]
            self._write(f"{self.media_folder}/{self.media_folder}_{number}.npy", shard.media)
            self._write(f"text_emb/text_emb_{number}.npy", shard.texts)
            self._write(f"metadata/metadata_{number}.parquet", captions)
        self.record["images"] += len(shard.media)
        self.record["captions"] += len(shard.texts)
        self.record["shards"].append(
            {"images": len(shard.media), "captions": len(shard.texts), "skipped": len(shard.skipped)}
        )
        self.record["skipped"] += shard.skipped
        if self.record["images"]:  # input without any usable image leaves no folder
            self._save_record()

    def finish(self) -> None:
        """Write the index, mark the run as complete and remove temporary files of killed runs."""
        from pyarrow import parquet

        index = np.empty(self.record["captions"], dtype=np.int64)
        row = 0
        for number, shard in enumerate(self.record["shards"]):
            if shard["images"]:
                table = parquet.read_table(self.path / f"metadata/metadata_{number}.parquet", columns=["image"])
                index[row : row + shard["captions"]] = table["image"].to_numpy()
                row += shard["captions"]
        self._write("index.npy", index)
        self.record["complete"] = True
        self._save_record()
        for temporary in self.path.rglob(".*.part"):
            temporary.unlink()

    def _save_record(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        with atomic_path(self.path / RECORD) as temporary:
            temporary.write_text(json.dumps(self.record, indent=1, ensure_ascii=False), encoding="utf-8")

    def _write(self, name: str, content: np.ndarray | Sequence[dict[str, Any]]) -> None:
        """Write an array as .npy or rows of metadata as .parquet."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            if isinstance(content, np.ndarray):
                np.save(file, content, allow_pickle=False)
            else:
                import pyarrow
                from pyarrow import parquet

                parquet.write_table(pyarrow.Table.from_pylist(list(content), schema=_metadata_schema()), file)


def _metadata_schema() -> Any:
    import pyarrow

    return pyarrow.schema({"image_id": pyarrow.string(), "image": pyarrow.int64(), "caption": pyarrow.string()})


def read_record(path: Path) -> dict[str, Any] | None:
    """Return the record of the run that started the folder `path`, None if there is nothing yet."""
    if not path.exists():
        if not path.parent.is_dir():
            raise InputError(f"{path}: cannot be written because {path.parent} does not exist; create it first")
        check_writable_folder(path)
        return None
    check_writable_folder(path)
    record_file = path / RECORD
    if not record_file.exists():
        if any(not p.name.endswith(".part") for p in path.iterdir()):
            raise InputError(f"{path}: holds files but no {RECORD}; give a new folder")
        return None
    try:
        record = json.loads(record_file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{record_file}: is not valid JSON ({error}); give a new folder") from None
    if not isinstance(record, dict) or record.get("kind") != "encoding" or record.get("format", 0) > FORMAT:
        raise InputError(f"{record_file}: is no record of `isthmus encode` of this version; give a new folder")
    return record


def _refuse_change(earlier: Any, now: Any, origin: str, path: Path) -> None:
    """Raise InputError with the first setting that differs from that of the earlier run."""
    if isinstance(earlier, dict) and isinstance(now, dict):
        for key in [*now, *(key for key in earlier if key not in now)]:
            _refuse_change(earlier.get(key), now.get(key), f"{origin}.{key}", path)
    elif earlier != now:
        raise InputError(f"{path}: was started with {origin} = {earlier!r}, now it is {now!r}; give a new folder")

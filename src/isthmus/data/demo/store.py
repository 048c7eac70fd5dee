"""Files of the demonstration runs: compressed safetensors, small because rows are rounded or factored.

`items.safetensors.xz` holds what the runs share: labels, captions (UTF-8 bytes and offsets) and the training rows.
A run holds either rows `image` and `text`, or factors of them. Rows are float16, or int16 multiples of a step, which
take a tenth less. If the file is smaller then, their lower bytes are stored before the upper ones, those of the first
tensor also by column. Rows are normalized in the end, so that the step does not matter. The factors are the two `axes`,
the `basis` of a small subspace, the float16 coordinates in it (`image_part`, `text_part`) and the `radius`.
"""

from __future__ import annotations

import itertools
import lzma
from functools import lru_cache
from pathlib import Path

import numpy as np

ITEMS = "items"
#: Suffix of all files.
SUFFIX = ".safetensors.xz"
#: Ending of the name of numbers that are stored as their lower and their upper bytes, (2, n, d), and their type.
BYTES = {"_int16": "<i2", "_float16": "<f2"}
#: Further ending of bytes that are stored by column, (2, d, n).
COLUMNS = "_columns"


def compose(coordinates: np.ndarray, axis: np.ndarray, basis: np.ndarray, radius: float) -> np.ndarray:
    """Return the rows sqrt(1 - radius^2) axis + radius coordinates @ basis, float64 (n, d).

    `coordinates` (n, k) has unit rows, and `axis` (d,) is a unit vector orthogonal to the orthonormal rows of `basis`
    (k, d). The result therefore has unit rows.
    """
    return np.sqrt(1 - radius**2) * axis + radius * (coordinates @ basis)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@lru_cache
def _decompressed(path: Path) -> bytes:
    return lzma.decompress(path.read_bytes())


def read(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a file of `isthmus.studies.demo_training`."""
    from safetensors.numpy import load

    return dict(_restored(name, values) for name, values in load(_decompressed(path)).items())


def _restored(name: str, values: np.ndarray) -> tuple[str, np.ndarray]:
    """Return a tensor, in memory of its own, from its bytes if its name ends in `BYTES`."""
    if name.endswith(COLUMNS):
        name, values = name.removesuffix(COLUMNS), values.transpose(0, 2, 1)
    for ending, dtype in BYTES.items():
        if name.endswith(ending):
            in_bytes = np.ascontiguousarray(np.moveaxis(values, 0, -1))
            return name.removesuffix(ending), in_bytes.view(dtype)[..., 0].astype(ending[1:])
    return name, values.copy()


def read_items(directory: Path) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Return the labels (n,) int64, the captions, and the mask (n,) of the training rows."""
    tensors = read(directory / f"{ITEMS}{SUFFIX}")
    text = tensors["captions"].tobytes()
    ends = tensors["offsets"].tolist()
    captions = [text[start:end].decode() for start, end in itertools.pairwise(ends)]
    return tensors["labels"].astype(np.int64), captions, tensors["train"].astype(bool)


def rows(tensors: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the image and text rows (n, d), float32 with unit rows, from the tensors of one run."""
    if "image" in tensors:
        image, text = (_unit(tensors[modality].astype(np.float64)) for modality in ("image", "text"))
    else:
        axes, basis, radius = tensors["axes"], tensors["basis"], float(tensors["radius"][0])
        image, text = (
            compose(_unit(tensors[f"{modality}_part"].astype(np.float64)), axis, basis, radius)
            for modality, axis in zip(("image", "text"), axes, strict=True)
        )
    return image.astype(np.float32), text.astype(np.float32)

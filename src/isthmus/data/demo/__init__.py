"""Real embeddings to try things on: 1,797 handwritten digits and their captions, from small dual encoders.

The pictures are scikit-learn's digits, the captions say which digit it is and how it was written. `RUNS`
names the three encoders. Loading needs neither scikit-learn nor torch; `isthmus.studies.demo_training` made the files.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from isthmus.data.pairs import Pairs
from isthmus.utils.errors import InputError, unknown_name
from isthmus.utils.files import atomic_path

#: name of a run -> what it shows
RUNS: dict[str, str] = {
    "plain": "a fixed low temperature (0.01): both cones stay, and every part of the budget shows",
    "warm": "a fixed high temperature (0.2): the means vanish, so that the gap angle is undefined",
    "collapsed": "one fixed axis per modality, 60 degrees apart, beside a shared space: mostly a gap",
}

__all__ = ["RUNS", "DemoRun", "arrays", "export", "load"]

Split = Literal["train", "test"]
_DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, eq=False)
class DemoRun:
    """The n pairs of one run.

    `image` and `text` are (n, 64) float32 with unit rows; row i of both is pair i, digit `labels[i]`, with
    the caption `captions[i]`. `train` (n,) marks the pairs that the encoder was trained on. `temperature` is
    the temperature at the end of training. For the collapsed run `axes` (2, 64) holds the axes of image and
    text and `basis` (16, 64) an orthonormal basis of the shared space, float64; the other runs have None.
    """

    name: str
    description: str
    image: np.ndarray
    text: np.ndarray
    labels: np.ndarray
    captions: list[str]
    train: np.ndarray
    temperature: float
    axes: np.ndarray | None = None
    basis: np.ndarray | None = None


def arrays(run: str = "plain", *, split: Split | None = None) -> DemoRun:
    """The arrays of one of the `RUNS`: all 1,797 pairs, the 1,200 of training, or the 597 held out for test.

    Raises InputError for an unknown run or split.

    >>> plain = arrays("plain", split="test")
    >>> plain.image.shape, plain.text.shape
    ((597, 64), (597, 64))
    >>> plain.captions[4]
    'A wide zero in medium strokes, leaning far to the right, placed above the centre.'
    """
    if run not in RUNS:
        raise unknown_name("demo run", run, RUNS)
    from isthmus.data.demo import store

    labels, captions, train = store.read_items(_DATA)
    tensors = store.read(_DATA / f"{run}.safetensors")
    image, text = store.rows(tensors)
    whole = DemoRun(
        name=run,
        description=RUNS[run],
        image=image,
        text=text,
        labels=labels,
        captions=captions,
        train=train,
        temperature=float(tensors["temperature"][0]),
        axes=tensors.get("axes"),
        basis=tensors.get("basis"),
    )
    if split is None:
        return whole
    if split not in ("train", "test"):
        raise unknown_name("demo split", str(split), ["train", "test"])
    keep = np.flatnonzero(train if split == "train" else ~train)
    return replace(
        whole,
        image=image[keep],
        text=text[keep],
        labels=labels[keep],
        captions=[captions[i] for i in keep],
        train=train[keep],
    )


def load(run: str = "plain", *, split: Split | None = None) -> Pairs:
    """One of the `RUNS` as `isthmus.Pairs` of modalities `image` and `text`, with the digits as labels.

    `split` is "train" (1,200 pairs), "test" (597 pairs) or None (all). Raises InputError for an unknown run.
    """
    data = arrays(run, split=split)
    return Pairs(image=data.image, text=data.text, labels=data.labels)


def export(directory: str | Path, run: str = "plain", *, split: Split | None = None) -> tuple[Path, Path]:
    """Write the rows of one of the `RUNS` as `image.npy` and `text.npy` in `directory`, made if need be.

    Returns the two paths. Existing files of these names are replaced.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in export(folder, "warm")]
    ['image.npy', 'text.npy']
    """
    data = arrays(run, split=split)
    folder = Path(directory)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"cannot export to {str(folder)!r}: it is a file; give a directory")
    folder.mkdir(parents=True, exist_ok=True)
    paths = (folder / "image.npy", folder / "text.npy")
    for path, rows in zip(paths, (data.image, data.text), strict=True):
        with atomic_path(path) as part, part.open("wb") as file:
            np.save(file, rows, allow_pickle=False)
    return paths

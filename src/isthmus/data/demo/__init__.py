"""Demonstration data: 1,797 handwritten digits and their captions, embedded by small dual encoders.

The pictures are scikit-learn's digits. The captions say which digit it is and how it was written. `RUNS` names the
three encoders, which `isthmus.studies.demo_training` trained. Loading needs neither scikit-learn nor torch.

>>> import isthmus
>>> data = isthmus.demo.arrays("plain", split="test")
>>> data.image.shape, data.captions[4][:11]
((597, 64), 'A wide zero')
>>> isthmus.demo.load("plain", split="test").names
('image', 'text')
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from isthmus.data.demo import store
from isthmus.data.pairs import Pairs
from isthmus.utils.errors import unknown_name
from isthmus.utils.files import atomic_path
from isthmus.utils.lazy import hinting_getter
from isthmus.utils.paths import check_writable_folder

#: Name of each run and what it shows.
RUNS: dict[str, str] = {
    "plain": "a fixed low temperature (0.01): both means stay long, and the cosine deficit has four components",
    "warm": "a fixed high temperature (0.2): the means are near zero, so that the gap angle is undefined",
    "collapsed": "one fixed axis per modality, 60 degrees apart, beside a shared space: the deficit is mostly the gap",
}

__all__ = ["RUNS", "DemoRun", "arrays", "export", "load"]

Split = Literal["train", "test"]
_DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, eq=False)
class DemoRun:
    """The n pairs of one run.

    Parameters
    ----------
    name : str
        Name of the run.
    description : str
        What the run shows.
    image : numpy.ndarray
        Embeddings of the pictures, (n, 64) float32 with unit rows. Row i is pair i.
    text : numpy.ndarray
        Embeddings of the captions, (n, 64) float32 with unit rows.
    labels : numpy.ndarray
        The digits, (n,) int64.
    captions : list of str
        The n captions.
    train : numpy.ndarray
        Mask (n,) of the pairs that the encoder was trained on.
    temperature : float
        Temperature tau at the end of training.
    axes : numpy.ndarray or None
        The axes of image and text, (2, 64) float64. Only the collapsed run has them.
    basis : numpy.ndarray or None
        Orthonormal basis of the shared space, (16, 64) float64. Only the collapsed run has it.

    Examples
    --------
    >>> arrays("collapsed").basis.shape, arrays("plain").basis
    ((16, 64), None)
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
    """Return the arrays of a run.

    Parameters
    ----------
    run : str
        One of `RUNS`. Default: 'plain'.
    split : {"train", "test"} or None
        The 1,200 training pairs or the 597 held-out pairs. Default: all 1,797.

    Returns
    -------
    DemoRun
        The pairs and what is known about them.

    Raises
    ------
    InputError
        If the run or split is unknown.

    Examples
    --------
    >>> plain = arrays("plain", split="test")
    >>> plain.image.shape, plain.text.shape
    ((597, 64), (597, 64))
    >>> plain.captions[4]
    'A wide zero in medium strokes, leaning far to the right, placed above the centre.'
    """
    if run not in RUNS:
        raise unknown_name("demo run", run, RUNS)
    labels, captions, train = store.read_items(_DATA)
    tensors = store.read(_DATA / f"{run}{store.SUFFIX}")
    image, text = store.rows(tensors)
    all_pairs = DemoRun(
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
        return all_pairs
    if split not in ("train", "test"):
        raise unknown_name("demo split", str(split), ["train", "test"])
    rows = np.flatnonzero(train if split == "train" else ~train)
    return replace(
        all_pairs,
        image=image[rows],
        text=text[rows],
        labels=labels[rows],
        captions=[captions[i] for i in rows],
        train=train[rows],
    )


def load(run: str = "plain", *, split: Split | None = None) -> Pairs:
    """Return a run as pairs of the modalities `image` and `text`, with the digits as labels.

    Parameters
    ----------
    run : str
        One of `RUNS`. Default: 'plain'.
    split : {"train", "test"} or None
        The 1,200 training pairs or the 597 held-out pairs. Default: all 1,797.

    Returns
    -------
    Pairs
        The pairs, in memory.

    Raises
    ------
    InputError
        If the run or split is unknown.

    Examples
    --------
    >>> load("warm", split="test").n_pairs
    597
    """
    run_arrays = arrays(run, split=split)
    return Pairs(image=run_arrays.image, text=run_arrays.text, labels=run_arrays.labels)


def export(directory: str | Path, run: str = "plain", *, split: Split | None = None) -> tuple[Path, Path]:
    """Write the rows of a run as ``image.npy`` and ``text.npy``, replacing files of these names.

    Parameters
    ----------
    directory : str or Path
        Folder of the files, which is created if it does not exist.
    run : str
        One of `RUNS`. Default: 'plain'.
    split : {"train", "test"} or None
        The 1,200 training pairs or the 597 held-out pairs. Default: all 1,797.

    Returns
    -------
    image : Path
        Path of the image rows.
    text : Path
        Path of the text rows.

    Raises
    ------
    InputError
        If the run or split is unknown, or `directory` is a file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in export(folder, "warm")]
    ['image.npy', 'text.npy']
    """
    run_arrays = arrays(run, split=split)
    folder = check_writable_folder(directory)
    folder.mkdir(parents=True, exist_ok=True)
    paths = (folder / "image.npy", folder / "text.npy")
    for path, rows in zip(paths, (run_arrays.image, run_arrays.text), strict=True):
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.save(file, rows, allow_pickle=False)
    return paths


if not TYPE_CHECKING:  # a type checker would then find every name
    __getattr__ = hinting_getter("isthmus.demo", __all__)

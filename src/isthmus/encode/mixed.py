"""Vectors of a list that mixes texts, images and sounds, with the modality and the role of each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.encode._base import Encoder
from isthmus.utils.errors import InputError, import_optional
from isthmus.utils.files import atomic_path
from isthmus.utils.format import counted


@dataclass(frozen=True, eq=False)
class MixedVectors:
    """Vectors of items of several modalities, in the order of the items.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        Vectors in float32.
    modalities : ndarray of shape (n,)
        Modality of each row: 'text', 'image' or 'audio'.
    roles : ndarray of shape (n,)
        Role of each row: 'query', 'document', or '' for a model without roles.

    Examples
    --------
    >>> vectors = MixedVectors(np.eye(2), np.array(["text", "image"]), np.array(["query", "document"]))
    >>> {name: table.shape for name, table in vectors.by_modality().items()}
    {'text': (1, 2), 'image': (1, 2)}
    """

    rows: np.ndarray
    modalities: np.ndarray
    roles: np.ndarray

    def by_modality(self) -> dict[str, np.ndarray]:
        """Return the rows of each modality, which `isthmus.Modalities` and corrections take by name.

        Returns
        -------
        dict of str to ndarray
            Rows in their order.
        """
        names = dict.fromkeys(self.modalities.tolist())
        return {name: self.rows[self.modalities == name] for name in names}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a Parquet file with the columns vector, modality and role.

        Parameters
        ----------
        path : path
            The file.
        """
        pyarrow = import_optional("pyarrow", "parquet", "writing vectors")
        parquet = import_optional("pyarrow.parquet", "parquet", "writing vectors")
        rows = np.ascontiguousarray(self.rows, dtype=np.float32)
        vectors = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(rows.ravel()), rows.shape[1])
        columns = {"vector": vectors, "modality": self.modalities.tolist(), "role": self.roles.tolist()}
        with atomic_path(path) as temporary:
            parquet.write_table(pyarrow.table(columns), temporary)


def encode_mixed(encoder: Encoder, items: Sequence[Any], /, *, batch: int = 64) -> MixedVectors:
    """Encode a list that mixes texts, images and sounds. Every batch holds one modality, as libraries demand.

    Parameters
    ----------
    encoder : Encoder
        Opened model. Its `instructions` hold the roles and the prompts.
    items : sequence of str, PIL.Image or ndarray
        Texts, RGB images, and mono waveforms at the sampling rate of the encoder.
    batch : int, default 64
        Number of items in one call of the model.

    Returns
    -------
    MixedVectors
        A row for each item, in their order.

    Raises
    ------
    InputError
        If there is no item, `batch` is below 1, or the modalities have vectors of different lengths.

    Examples
    --------
    >>> encode_mixed(encoder, ["a dog", image, "a cat"]).modalities.tolist()  # doctest: +SKIP
    ['text', 'image', 'text']
    """
    if not len(items) or batch < 1:
        raise InputError(f"got {counted(len(items), 'item')} and batch={batch}, expected one or more of both")
    modalities = np.array([_modality(item, encoder.media) for item in items])
    instructions = encoder.instructions
    roles = np.where(modalities == "text", instructions.text_role or "", instructions.media_role or "")
    rows: np.ndarray | None = None
    for modality in ("text", *encoder.media):
        numbers = np.flatnonzero(modalities == modality)
        media = encoder if modality == "text" else encoder.for_media(modality)
        for begin in range(0, len(numbers), batch):
            chosen = numbers[begin : begin + batch]
            inputs = [items[number] for number in chosen]
            if modality == "text":
                vectors = encoder.encode_texts(inputs)
            else:
                vectors = media.encode_media(media.prepare(inputs))
            rows = np.empty((len(items), vectors.shape[1]), dtype=np.float32) if rows is None else rows
            if vectors.shape[1] != rows.shape[1]:
                raise InputError(
                    f"the model returns {rows.shape[1]} numbers for one modality and {vectors.shape[1]} for the other; "
                    "encode each alone"
                )
            rows[chosen] = vectors
    assert rows is not None
    return MixedVectors(rows, modalities, roles)


def _modality(item: Any, media: Sequence[str]) -> str:
    """Return the modality of an item. Without a choice it is the one that the model encodes beside the texts."""
    if isinstance(item, str):
        return "text"
    return media[0] if len(media) == 1 else "audio" if isinstance(item, np.ndarray) and item.ndim == 1 else "image"

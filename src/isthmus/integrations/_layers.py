"""The form of a row in a role as layers: divisions by norms and affine maps, which other libraries can hold.

Every other integration calls `stored` and `query`. Layers also need the matrices of the row map. The rows that these
methods return have norm 1, so they determine each row of a matrix only up to its length.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine, NormalizedAffine
from isthmus.utils.errors import InputError, IsthmusWarning

#: Random unit rows on which the form of a role must be affine, and by how much it may differ.
N_CHECKED, TOLERANCE = 64, 1e-9


@dataclass(frozen=True)
class Normalize:
    """Divide each block of columns by its norm. One block is the whole row."""

    widths: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Linear:
    """Map rows r to r @ matrix + bias, in float64."""

    matrix: np.ndarray
    bias: np.ndarray


Layer = Normalize | Linear


def role_layers(correction: Aligner, /, *, role: str, modality: str) -> list[Layer]:
    """Return the layers that give what `stored` or `query` gives for rows of one modality.

    Raise `InputError` for stored rows of a correction with a bank, which depend on the nearest rows of the bank.
    """
    if role not in ("stored", "query"):
        raise InputError(f"role={role!r}, expected 'stored' or 'query'")
    chosen: Any = getattr(correction, "chosen_", correction)
    mapping, dim = chosen.map_of(modality), chosen.dim(modality)
    layers: list[Layer] = [Normalize((dim,))] if chosen.normalize else []
    stages = (mapping.first, mapping.second) if isinstance(mapping, NormalizedAffine) else (mapping,)
    width = dim
    for position, stage in enumerate(stages):
        if not _is_identity(stage):
            matrix, bias = stage.dense(width)
            layers.append(Linear(matrix, bias))
            width = matrix.shape[1]
        if position == 0 and isinstance(mapping, NormalizedAffine):
            layers.append(Normalize(mapping.widths))
    is_identity = len(stages) == 1 and _is_identity(mapping)
    if chosen.normalize and chosen.normalizes_output and not is_identity:
        layers.append(Normalize((width,)))
    if chosen.corrects_scores:
        layers.append(_coordinates(chosen, role, modality, width))
    return layers


def _is_identity(affine: Affine) -> bool:
    return affine.matrix is None and affine.bias is None


def _coordinates(correction: Any, role: str, modality: str, width: int) -> Linear:
    """Return the affine map that appends the coordinates of a role to unit rows."""
    name = correction.modalities[correction.modality_number(modality)]
    form = getattr(correction.without_row_map(), role)  # the row map has layers of its own

    def formed(rows: np.ndarray) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", IsthmusWarning)  # these rows are no corpus
            return np.asarray(form(rows, modality=name), dtype=np.float64)

    basis = np.eye(width)
    positive, negative = formed(basis), formed(-basis)
    matrix, bias = (positive - negative) / 2, ((positive + negative) / 2).mean(axis=0)
    rows = np.random.default_rng(0).normal(size=(N_CHECKED, width))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    if np.abs(rows @ matrix + bias - formed(rows)).max() > TOLERANCE:
        raise InputError(
            f"{role} rows of {type(correction).__name__} depend on a bank and have no layers; write them with `isthmus "
            "apply --role stored`, or take a row map or ScoreStandardization"
        )
    return Linear(matrix, bias)

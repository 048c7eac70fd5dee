"""Maps of rows: affine ones, and two affine ones with a division by norms between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isthmus.compute import arrays
from isthmus.compute.arrays import Array


@dataclass(frozen=True, eq=False)
class Affine:
    """Rows r -> r @ matrix + bias; None stands for the identity and for zero."""

    matrix: np.ndarray | None = None  # (d, k)
    bias: np.ndarray | None = None  # (k,)

    def __post_init__(self) -> None:
        # One memory layout before and after a file: products then agree to the last bit.
        if self.matrix is not None:
            object.__setattr__(self, "matrix", np.ascontiguousarray(self.matrix))

    def __call__(self, rows: Array) -> Array:
        if self.matrix is not None:
            rows = rows @ arrays.asarray_like(self.matrix, rows)
        if self.bias is not None:
            rows = rows + arrays.asarray_like(self.bias, rows)
        return rows

    def dense(self, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Matrix (width, k) and bias (k,) with identity and zero written out."""
        matrix = np.eye(width) if self.matrix is None else np.array(self.matrix, dtype=np.float64)
        bias = np.zeros(matrix.shape[1]) if self.bias is None else np.array(self.bias, dtype=np.float64)
        return matrix, bias

    def shifted(self, offset: np.ndarray) -> Affine:
        """The map r -> self(r + offset)."""
        moved = offset if self.matrix is None else offset @ self.matrix
        return Affine(self.matrix, moved if self.bias is None else self.bias + moved)


@dataclass(frozen=True, eq=False)
class NormalizedAffine:
    """Rows r -> second(u(first(r))): u divides each of the consecutive blocks of columns, of these `widths`, by its
    norm. Not affine."""

    first: Affine
    widths: tuple[int, ...]
    second: Affine

    def __call__(self, rows: Array) -> Array:
        rows = self.first(rows)
        parts, start = [], 0
        for width in self.widths:
            parts.append(arrays.unit_rows(rows[:, start : start + width]))
            start += width
        whole = parts[0] if len(parts) == 1 else arrays.namespace(rows).concat(parts, axis=1)
        return self.second(whole)

    def shifted(self, offset: np.ndarray) -> NormalizedAffine:
        """The map r -> self(r + offset)."""
        return NormalizedAffine(self.first.shifted(offset), self.widths, self.second)


Map = Affine | NormalizedAffine


def centred(mean: np.ndarray, matrix: np.ndarray | None = None) -> Affine:
    """Rows r -> (r - mean) @ matrix."""
    return Affine(matrix, -mean if matrix is None else -(mean @ matrix))


def map_tables(mapping: Map, side: str) -> dict[str, np.ndarray]:
    """The arrays of the map of one side ('x' or 'y'), by name, for a file."""
    if isinstance(mapping, NormalizedAffine):
        tables = {f"widths_{side}": np.asarray(mapping.widths, dtype=np.int64)}
        for stage, affine in (("first", mapping.first), ("second", mapping.second)):
            tables.update({f"{stage}.{name}": t for name, t in map_tables(affine, side).items()})
        return tables
    parts = {f"matrix_{side}": mapping.matrix, f"bias_{side}": mapping.bias}
    return {name: value for name, value in parts.items() if value is not None}


def map_from_tables(tables: dict[str, np.ndarray], side: str) -> Map:
    """The map that `map_tables` took apart."""

    def affine(stage: str) -> Affine:
        return Affine(tables.get(f"{stage}matrix_{side}"), tables.get(f"{stage}bias_{side}"))

    widths = tables.get(f"widths_{side}")
    return (
        affine("") if widths is None else NormalizedAffine(affine("first."), tuple(widths.tolist()), affine("second."))
    )

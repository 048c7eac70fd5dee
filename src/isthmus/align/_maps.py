"""Row maps: affine maps, and two affine maps with a division by norms between them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from isthmus.compute import arrays
from isthmus.compute.arrays import Array


@dataclass(frozen=True, eq=False)
class Affine:
    """Map rows r to r @ matrix + bias.

    Parameters
    ----------
    matrix : ndarray of shape (d, k), optional
        Linear part. None stands for the identity.
    bias : ndarray of shape (k,), optional
        Offset that is added after the multiplication. None stands for zero.

    Examples
    --------
    >>> import numpy as np
    >>> Affine(2 * np.eye(2), np.ones(2))(np.array([[1.0, 3.0]])).tolist()
    [[3.0, 7.0]]
    """

    matrix: np.ndarray | None = None
    bias: np.ndarray | None = None

    def __post_init__(self) -> None:
        # Products agree to the last bit only if the memory layout is the same before and after saving.
        if self.matrix is not None:
            object.__setattr__(self, "matrix", np.ascontiguousarray(self.matrix))

    def __call__(self, rows: Array) -> Array:
        matrix, bias = self.matrix, self.bias
        if isinstance(rows, np.ndarray) and rows.dtype == np.float32:
            matrix, bias = self._single
        if matrix is not None:
            rows = rows @ arrays.asarray_like(matrix, rows)
        if bias is not None:
            rows = rows + arrays.asarray_like(bias, rows)
        return rows

    @cached_property
    def _single(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Matrix and bias in float32, because a conversion for each query takes longer than the product."""
        matrix = None if self.matrix is None else self.matrix.astype(np.float32)
        return matrix, None if self.bias is None else np.asarray(self.bias, dtype=np.float32)

    @cached_property
    def size(self) -> float:
        """Upper bound of the norm of the image of a unit row."""
        matrix, bias = self.matrix, self.bias
        norm = 1.0 if matrix is None else np.sqrt(np.linalg.norm(matrix, 1) * np.linalg.norm(matrix, np.inf))
        return float(norm + (0.0 if bias is None else np.linalg.norm(bias)))

    def dense(self, dim: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the matrix and the bias with identity and zero written out.

        Parameters
        ----------
        dim : int
            Dimension d of the rows.

        Returns
        -------
        matrix : ndarray of shape (d, k)
            Linear part, float64.
        bias : ndarray of shape (k,)
            Offset, float64.
        """
        matrix = np.eye(dim) if self.matrix is None else np.array(self.matrix, dtype=np.float64)
        bias = np.zeros(matrix.shape[1]) if self.bias is None else np.array(self.bias, dtype=np.float64)
        return matrix, bias

    def after_shift(self, offset: np.ndarray) -> Affine:
        """Return the map that sends r to self(r + offset).

        Parameters
        ----------
        offset : ndarray of shape (d,)
            Vector that is added to the rows first.

        Returns
        -------
        Affine
            The composed map.
        """
        mapped_offset = offset if self.matrix is None else offset @ self.matrix
        return Affine(self.matrix, mapped_offset if self.bias is None else self.bias + mapped_offset)


@dataclass(frozen=True, eq=False)
class NormalizedAffine:
    """Map rows r to second(u(first(r))), where u divides each block of columns by its norm.

    This map is not affine.

    Parameters
    ----------
    first : Affine
        Map before the division by norms.
    widths : tuple of int
        Numbers of columns of the consecutive blocks.
    second : Affine
        Map after the division by norms.

    Examples
    --------
    >>> import numpy as np
    >>> unit_then_double = NormalizedAffine(Affine(), (2,), Affine(2 * np.eye(2)))
    >>> unit_then_double(np.array([[3.0, 4.0]])).round(9).tolist()
    [[1.2, 1.6]]
    """

    first: Affine
    widths: tuple[int, ...]
    second: Affine

    def __call__(self, rows: Array) -> Array:
        rows = self.first(rows)
        blocks, start = [], 0
        for width in self.widths:
            blocks.append(arrays.unit_rows(rows[:, start : start + width]))
            start += width
        return self.second(blocks[0] if len(blocks) == 1 else arrays.namespace(rows).concat(blocks, axis=1))

    def after_shift(self, offset: np.ndarray) -> NormalizedAffine:
        """Return the map that sends r to self(r + offset).

        Parameters
        ----------
        offset : ndarray of shape (d,)
            Vector that is added to the rows first.

        Returns
        -------
        NormalizedAffine
            The composed map.
        """
        return NormalizedAffine(self.first.after_shift(offset), self.widths, self.second)


Map = Affine | NormalizedAffine


def is_identity(mapping: Map) -> bool:
    """Return True for the map that leaves rows as they are."""
    return isinstance(mapping, Affine) and mapping.matrix is None and mapping.bias is None


def centering_map(mean: np.ndarray, matrix: np.ndarray | None = None) -> Affine:
    """Return the map that sends rows r to (r - mean) @ matrix."""
    return Affine(matrix, -mean if matrix is None else -(mean @ matrix))


def arrays_of_map(mapping: Map, modality: str) -> dict[str, np.ndarray]:
    """Return the arrays of the map of modality 'x' or 'y' by name, for a file."""
    if isinstance(mapping, NormalizedAffine):
        tables = {f"widths_{modality}": np.asarray(mapping.widths, dtype=np.int64)}
        for stage, affine in (("first", mapping.first), ("second", mapping.second)):
            tables.update({f"{stage}.{name}": table for name, table in arrays_of_map(affine, modality).items()})
        return tables
    tables = {}
    if mapping.matrix is not None:
        tables[f"matrix_{modality}"] = mapping.matrix
    if mapping.bias is not None:
        tables[f"bias_{modality}"] = mapping.bias
    return tables


def map_of_arrays(tables: dict[str, np.ndarray], modality: str) -> Map:
    """Rebuild the map of modality 'x' or 'y' from the arrays of `arrays_of_map`."""

    def affine(stage: str) -> Affine:
        return Affine(tables.get(f"{stage}matrix_{modality}"), tables.get(f"{stage}bias_{modality}"))

    widths = tables.get(f"widths_{modality}")
    if widths is None:
        return affine("")
    return NormalizedAffine(affine("first."), tuple(widths.tolist()), affine("second."))

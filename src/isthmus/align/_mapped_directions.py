"""Division of mapped rows by their norms, and a warning about rows that the map left without a direction."""

from __future__ import annotations

import numpy as np

from isthmus.align._maps import Affine, Map
from isthmus.compute import arrays
from isthmus.compute.arrays import Array
from isthmus.compute.rows import dtype_name
from isthmus.utils.errors import IsthmusWarning
from isthmus.utils.warning import warn

#: Largest norm of a mapped row that is rounding, in units of the precision times the size of the map.
ROUNDING = 8
#: Size of the numbers in a map that are rounding of its solution in float64, and of means of many rows.
SOLVER_PRECISION = 2.0**-44


def unit_mapped_rows(mapped: Array, mapping: Map, aligner: str, modality: str, /) -> Array:
    """Divide the images of unit rows by their norms. Images that are only rounding become zero, with a warning.

    Parameters
    ----------
    mapped : array of shape (n, k)
        Unit rows after the map.
    mapping : Affine or NormalizedAffine
        The map.
    aligner : str
        Name of the aligner, for the warning.
    modality : str
        Name of the modality, for the warning.

    Returns
    -------
    array of shape (n, k)
        Unit rows, and zero rows.
    """
    last = mapping if isinstance(mapping, Affine) else mapping.second
    if not mapped.shape[0] or (last.matrix is None and last.bias is None):
        return arrays.unit_rows(mapped)
    is_numpy = isinstance(mapped, np.ndarray)
    xp = np if is_numpy else arrays.namespace(mapped)
    squares = np.einsum("ij,ij->i", mapped, mapped) if is_numpy else xp.sum(mapped * mapped, axis=1)
    precision = 2.0**-52 if dtype_name(mapped.dtype) == "float64" else 2.0**-23
    limit = ROUNDING * max(precision * last.size, SOLVER_PRECISION)
    if float(arrays.to_numpy(xp.min(squares))) > limit**2:
        return arrays.unit_rows(mapped)
    warn(
        f"{aligner} leaves some rows of {modality} without a direction, such as rows that equal the mean of the fit: "
        "they become zero rows, which no search can rank",
        IsthmusWarning,
        stacklevel=4,
    )
    is_direction = xp.astype(squares > limit**2, mapped.dtype)
    return arrays.unit_rows(mapped * is_direction[:, None])

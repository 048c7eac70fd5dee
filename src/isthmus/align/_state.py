"""The fitted state of an aligner: what transform, save and load need."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isthmus.align._maps import Map, arrays_of_map, map_of_arrays
from isthmus.align._statistics import Statistics
from isthmus.statistics.moments import Moments

#: Begin of the names of further arrays in a file.
FURTHER = "further."


@dataclass(frozen=True, eq=False)
class FittedState:
    """Everything that an aligner learns from data.

    `aligner.fitted_state` returns it, and assigning it to an aligner of the same class restores the fit. Use
    `dataclasses.replace` to change single fields.

    Parameters
    ----------
    map_x, map_y : Affine or NormalizedAffine
        Maps of the rows of x and y.
    dims : tuple of int
        Dimensions of the rows of x and y that the maps take.
    statistics : Statistics, optional
        Means and covariances of the fitted rows. None if they were not saved.
    names : tuple of str, optional
        Names of the two modalities. None if the aligner was fitted to arrays without names.
    uses_pairs : bool, default False
        Whether the maps depend on the pairing of the rows.
    fit_info : dict of str to Any
        Numbers that explain the solution, as in `Aligner.fit_info_`.
    arrays : dict of str to ndarray
        Further arrays of the aligner by name, such as the banks of a score correction.

    Examples
    --------
    >>> import isthmus
    >>> fitted = isthmus.align.Centering().fit(isthmus.demo.load("plain"))
    >>> copied = isthmus.align.Centering()
    >>> copied.fitted_state = fitted.fitted_state
    >>> copied.fitted_state.dims, copied.fitted_state.names
    ((64, 64), ('image', 'text'))
    """

    map_x: Map
    map_y: Map
    dims: tuple[int, int]
    statistics: Statistics | None = None
    names: tuple[str, str] | None = None
    uses_pairs: bool = False
    fit_info: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def to_arrays(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the state as arrays and JSON values, for a file.

        Returns
        -------
        tables : dict of str to ndarray
            Maps, statistics and dimensions.
        header : dict of str to Any
            Dimensions, names, `uses_pairs` and `fit_info`.
        """
        tables = {**arrays_of_map(self.map_x, "x"), **arrays_of_map(self.map_y, "y")}
        if self.statistics is not None:
            tables.update(self.statistics.to_arrays())
        tables.update({FURTHER + name: table for name, table in self.arrays.items()})
        # A safetensors file holds at least one array, and the maps of Identity have none.
        tables["dims"] = np.asarray(self.dims, dtype=np.int64)
        header = {"dims": self.dims, "names": self.names, "uses_pairs": self.uses_pairs, "fit_info": self.fit_info}
        return tables, header

    @classmethod
    def from_arrays(cls, tables: dict[str, np.ndarray], header: dict[str, Any]) -> FittedState:
        """Rebuild the state from what `to_arrays` returned.

        Parameters
        ----------
        tables : dict of str to ndarray
            Arrays of a file.
        header : dict of str to Any
            JSON values of the same file.

        Returns
        -------
        FittedState
            The state.
        """
        return cls(
            map_of_arrays(tables, "x"),
            map_of_arrays(tables, "y"),
            dims=(header["dims"][0], header["dims"][1]),
            statistics=Statistics.from_arrays(tables),
            names=tuple(header["names"]) if header["names"] else None,
            uses_pairs=bool(header.get("uses_pairs", False)),
            fit_info=header["fit_info"],
            arrays={name.removeprefix(FURTHER): table for name, table in tables.items() if name.startswith(FURTHER)},
        )


@dataclass(eq=False)
class CurrentFit:
    """Moments or statistics of a fit and, once they are solved, its maps."""

    dims: tuple[int, int]
    moments: Moments | None = None
    statistics: Statistics | None = None
    names: tuple[str, str] | None = None
    maps: tuple[Map, Map] | None = None
    info: dict[str, Any] = field(default_factory=dict)
    is_solving: bool = False

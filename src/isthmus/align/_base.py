"""What an aligner is: one affine map for each side, solved from moments."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from isthmus import arrays
from isthmus.arrays import Array
from isthmus.checks import InputError, rows_listed, unknown
from isthmus.files import load_arrays, save_arrays
from isthmus.moments import Moments

_REGISTRY: dict[str, type[Aligner]] = {}


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
            rows = rows @ arrays.like(self.matrix, rows)
        if self.bias is not None:
            rows = rows + arrays.like(self.bias, rows)
        return rows


@dataclass(kw_only=True, eq=False)
class Aligner:
    """Base of all aligners: a new one declares its options as fields and solves.

    Rows are divided by their norm, mapped, and divided by their norm again; `normalize=False` leaves both out. What
    comes out has the array library and device that went in.

    After fitting: `map_x_` and `map_y_` (`Affine`), `moments_`, `facts_` (numbers that explain the solution).
    """

    normalize: bool = True

    #: What the solution needs of the data beyond the two sets of rows.
    needs_pairs: ClassVar[bool] = False
    #: Whether means of the fitting rows are subtracted: what is left of them on other rows is noise.
    centres: ClassVar[bool] = False
    source: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        _REGISTRY[cls.__name__] = cls

    def __post_init__(self) -> None:
        self.facts_: dict[str, Any] = {}
        self.names_: tuple[str, str] | None = None
        self.moments_: Moments | None = None
        self._maps: tuple[Affine, Affine] | None = None
        self._dims: tuple[int, int] | None = None

    def _solve(self, moments: Moments) -> tuple[Affine, Affine]:
        """The two maps for NumPy `moments`."""
        raise NotImplementedError

    def fit(self, X: Any, Y: Any, /, *, index: Any = None) -> Self:
        """Fit to paired rows X and Y of shape (n, d); `index[j]` is the row of X that row j of Y belongs to."""
        return self.fit_moments(Moments.of(X, Y, index=index, normalize=self.normalize))

    def partial_fit(self, X: Any, Y: Any, /, *, index: Any = None) -> Self:
        """Add more pairs to those seen so far; the same as one `fit` on all of them."""
        more = Moments.of(X, Y, index=index, normalize=self.normalize)
        return self.fit_moments(more if self.moments_ is None else self.moments_ + more)

    def fit_moments(self, moments: Moments, /, *, names: tuple[str, str] | None = None) -> Self:
        """Fit to moments that are at hand; `names` are those of the modalities."""
        if moments.normalize != self.normalize:
            raise InputError(
                f"moments with normalize={moments.normalize} cannot fit an aligner with normalize={self.normalize}"
            )
        self.moments_ = moments
        self.names_ = names or self.names_
        self._dims = (moments.dim_x, moments.dim_y)
        self._maps = None  # solved when first needed, so that a stream of partial_fit solves once
        return self

    @property
    def map_x_(self) -> Affine:
        return self._solved()[0]

    @property
    def map_y_(self) -> Affine:
        return self._solved()[1]

    def _solved(self) -> tuple[Affine, Affine]:
        if self._maps is None:
            if self.moments_ is None:
                raise InputError(f"this {type(self).__name__} is not fitted; call fit(X, Y) first")
            self._maps = self._solve(self.moments_.numpy())
        return self._maps

    def transform(self, X: Array, Y: Array, /) -> tuple[Array, Array]:
        """Both sides aligned: (n, d) -> (n, k) for each."""
        return self.transform_x(X), self.transform_y(Y)

    def transform_x(self, X: Array, /) -> Array:
        """Rows (n, d) of the first side, or one row (d,), aligned. Float16 comes back as float32."""
        return self._transform(X, 0)

    def transform_y(self, Y: Array, /) -> Array:
        """Rows (n, d) of the second side, or one row (d,), aligned. Float16 comes back as float32."""
        return self._transform(Y, 1)

    def _transform(self, rows: Array, side: int) -> Array:
        affine = self._solved()[side]
        assert self._dims is not None
        if rows.ndim == 1:
            return self._transform(rows[None, :], side)[0]
        if rows.ndim != 2 or rows.shape[1] != self._dims[side]:
            raise InputError(
                f"rows of shape {tuple(rows.shape)} came to the {('first', 'second')[side]} side of a "
                f"{type(self).__name__} fitted on width {self._dims[side]}"
            )
        clean = arrays.Blocks(arrays.compute_dtype(str(rows.dtype), None), normalize=self.normalize)
        try:
            mapped = affine(clean(rows))
        except arrays.BadRows:
            host = arrays.to_numpy(rows)
            bad = np.flatnonzero(~np.isfinite(host).all(axis=1) | ~host.any(axis=1))
            raise InputError(
                f"{rows_listed(bad)} (counted from 0) hold NaN, infinite values or only zeros; remove them first"
            ) from None
        return arrays.unit_rows(mapped) if self.normalize else mapped

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The options, as scikit-learn asks for them."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    def set_params(self, **options: Any) -> Self:
        """Change options; fit again afterwards."""
        for name, value in options.items():
            if name not in self.get_params():
                raise unknown(f"option of {type(self).__name__}", name, self.get_params())
            setattr(self, name, value)
        self._maps = None
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the maps and options as safetensors; `isthmus.load` reads them back exactly."""
        tables = {}
        for side, affine in zip("xy", self._solved(), strict=True):
            for part in ("matrix", "bias"):
                value = getattr(affine, part)
                if value is not None:
                    tables[f"{part}_{side}"] = value
        header = {
            "class": type(self).__name__,
            "options": self.get_params(),
            "dims": self._dims,
            "names": self.names_,
            "n": None if self.moments_ is None else self.moments_.n,
            "facts": self.facts_,
        }
        # safetensors has no empty files worth the name: keep the widths as a table too.
        tables["dims"] = np.asarray(self._dims, dtype=np.int64)
        save_arrays(path, "aligner", tables, header)


def load(path: str | os.PathLike[str]) -> Any:
    """The aligner or the moments saved at `path`.

    An aligner comes back with its maps; it can transform, and `fit` starts anew.
    Errors: `InputError` when the file is missing, truncated or holds something else.
    """
    kind, tables, header = load_arrays(path)
    if kind == "moments":
        return Moments.load(path)
    if kind != "aligner":
        raise InputError(f"{path}: holds {kind}, expected an aligner or moments")
    aligner = get(header["class"])(**header["options"])
    aligner._dims = tuple(header["dims"])
    aligner.names_ = tuple(header["names"]) if header["names"] else None
    aligner.facts_ = header["facts"]
    aligner._maps = tuple(  # type: ignore[assignment]
        Affine(tables.get(f"matrix_{side}"), tables.get(f"bias_{side}")) for side in "xy"
    )
    return aligner


def registry() -> dict[str, type[Aligner]]:
    """All aligners by class name."""
    return dict(_REGISTRY)


def get(name: str) -> type[Aligner]:
    """The aligner class of this name, upper and lower case and - _ not told apart."""
    plain = {_plain(known): cls for known, cls in _REGISTRY.items()}
    if _plain(name) not in plain:
        raise unknown("aligner", name, _REGISTRY)
    return plain[_plain(name)]


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")

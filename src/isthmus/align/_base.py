"""What an aligner is: one map for each side, solved from moments."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from isthmus.align._maps import Affine, Map, NormalizedAffine, map_from_tables, map_tables
from isthmus.align._statistics import Statistics
from isthmus.compute import arrays
from isthmus.compute.arrays import Array
from isthmus.compute.devices import full_precision, to_device_cached
from isthmus.compute.resources import current
from isthmus.data.pairs import Pairs
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError, NotFittedError, unknown_name
from isthmus.utils.files import load_arrays, save_arrays
from isthmus.utils.registry import Registry
from isthmus.utils.validation import check_same_dim, format_rows

if TYPE_CHECKING:
    from isthmus.align._drift import Drift

#: All aligner classes by name.
REGISTRY: Registry[type[Aligner]] = Registry("aligner", package="isthmus.align", group="isthmus.aligners")


@dataclass(kw_only=True, eq=False)
class Aligner:
    """Base of all aligners: a new one declares its options as fields and solves.

    Rows are divided by their norm, mapped, and divided by their norm again; `normalize=False` leaves both out. What
    comes out has the array library and device that went in.

    After fitting: `map_x_` and `map_y_`, `moments_`, `statistics_` (means and covariances of the fitting rows, saved
    with the maps), `names_`, `fit_info_` (numbers that explain the solution).
    """

    normalize: bool = True

    #: What the solution needs of the data beyond the two sets of rows.
    requires_pairing: ClassVar[bool] = False
    #: Whether means of the fitting rows are subtracted: what is left of them on other rows is noise.
    uses_means: ClassVar[bool] = False
    #: Whether the mapped rows are divided by their norm; without it rows are to be compared by distance.
    normalizes_output: ClassVar[bool] = True
    #: Whether moments are enough, so that `partial_fit` gives what `fit` gives.
    supports_partial_fit: ClassVar[bool] = True
    #: Whether the sides may differ in width.
    allows_different_dims: ClassVar[bool] = False
    source: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        if not cls.__name__.startswith("_") and cls.solve is not Aligner.solve:
            register(cls)

    def __post_init__(self) -> None:
        self.fit_info_: dict[str, Any] = {}
        self.names_: tuple[str, str] | None = None
        self.moments_: Moments | None = None
        self._maps: tuple[Map, Map] | None = None
        self._dims: tuple[int, int] | None = None
        self._statistics: Statistics | None = None
        self._sides: tuple[Moments | None, Moments | None] = (None, None)  # of unpaired rows

    def solve(self, moments: Moments) -> tuple[Map, Map]:
        """The two maps for NumPy `moments`."""
        raise NotImplementedError

    def fit(self, X: Any, Y: Any = None, /, *, index: Any = None, paired: bool = True) -> Self:
        """Fit to paired rows X and Y of shape (n, d), or to one `Pairs`, whose names are then kept.

        `index[j]` is the row of X that row j of Y belongs to. With `paired=False` rows do not belong together and the
        sides may differ in number. Only `Auto` needs the rows themselves.
        Errors: `InputError` for unpaired rows where the solution needs pairs (`requires_pairing`).
        """
        if not paired:
            self._sides, self.moments_ = (None, None), None
            if Y is None and not isinstance(X, Pairs):
                raise InputError("fit needs rows of both sides; partial_fit takes one side at a time")
            return self._add_sides(X, Y)
        names = X.names if isinstance(X, Pairs) else None
        return self.fit_moments(Moments.of(X, Y, index=index, normalize=self.normalize), names=names)

    def partial_fit(self, X: Any, Y: Any = None, /, *, index: Any = None, paired: bool = True) -> Self:
        """Add more pairs to those seen so far; the same as one `fit` on all of them.

        With `paired=False` either side may be None: rows of one modality come as they come.
        """
        if not paired:
            return self._add_sides(X, Y)
        names = X.names if isinstance(X, Pairs) else None
        if names and self.names_ and tuple(names) != self.names_:
            raise InputError(f"pairs of {' and '.join(names)} came to an aligner of {' and '.join(self.names_)}")
        if self._sides != (None, None):
            raise InputError("pairs came to an aligner of unpaired rows; go on with paired=False, or fit anew")
        more = Moments.of(X, Y, index=index, normalize=self.normalize)
        return self.fit_moments(more if self.moments_ is None else self.moments_ + more, names=names)

    def fit_moments(self, moments: Moments, /, *, names: tuple[str, str] | None = None) -> Self:
        """Fit to moments that are at hand; `names` are those of the modalities."""
        if moments.normalize != self.normalize:
            raise InputError(
                f"moments with normalize={moments.normalize} cannot fit an aligner with normalize={self.normalize}"
            )
        if not self.allows_different_dims:
            check_same_dim(moments.dim_x, moments.dim_y, *(names or ("the first side", "the second")))
        self.moments_ = moments
        self.names_ = names or self.names_
        self._dims = (moments.dim_x, moments.dim_y)
        self._statistics = None
        self._maps = None  # solved when first needed, so that a stream of partial_fit solves once
        self._sides = (None, None)
        return self

    def _add_sides(self, X: Any, Y: Any) -> Self:
        """Take unpaired rows of either side, or both, to those that are there."""
        if self.requires_pairing or self.uses_pairs:
            raise InputError(
                f"{type(self).__name__} needs pairs and cannot be fitted to unpaired rows; use one that needs none, "
                "such as Centering or PartialWhitening"
            )
        if self.moments_ is not None and self._sides == (None, None):
            raise InputError("unpaired rows came to an aligner of pairs; fit anew with paired=False")
        names = X.names if isinstance(X, Pairs) else None
        both = [
            rows if rows is None else Moments.of(rows, rows, normalize=self.normalize).numpy()
            for rows in ((X.x, X.y) if isinstance(X, Pairs) else (X, Y))
        ]
        sides = tuple(
            new if old is None else old if new is None else old + new
            for old, new in zip(self._sides, both, strict=True)
        )
        if sides[0] is not None and sides[1] is not None:
            statistics = Statistics.of_sides(sides[0], sides[1])
            self.fit_moments(statistics.moments(normalize=self.normalize), names=names)
            self._statistics = statistics
        self._sides = sides  # type: ignore[assignment]  # two of them
        return self

    @property
    def map_x_(self) -> Map:
        return self._solved()[0]

    @property
    def map_y_(self) -> Map:
        return self._solved()[1]

    @property
    def matrix_x(self) -> np.ndarray:
        """The matrix (d, k) that rows of x are multiplied by, float64; `InputError` when the map is not affine."""
        return self._affine(0).dense(self._width(0))[0]

    @property
    def bias_x(self) -> np.ndarray:
        """What is added to the rows of x after the multiplication, (k,)."""
        return self._affine(0).dense(self._width(0))[1]

    @property
    def matrix_y(self) -> np.ndarray:
        """The matrix (d, k) that rows of y are multiplied by, float64; `InputError` when the map is not affine."""
        return self._affine(1).dense(self._width(1))[0]

    @property
    def bias_y(self) -> np.ndarray:
        """What is added to the rows of y after the multiplication, (k,)."""
        return self._affine(1).dense(self._width(1))[1]

    @property
    def statistics_(self) -> Statistics:
        """Means and covariances of the fitting rows; they are saved and come back with `isthmus.load`."""
        if self._statistics is None:
            if self.moments_ is None:
                raise NotFittedError(f"this {type(self).__name__} is not fitted; call fit(X, Y) first")
            self._statistics = Statistics.of(self.moments_.numpy())
        return self._statistics

    def _affine(self, side: int) -> Affine:
        affine = self._solved()[side]
        if not isinstance(affine, Affine):
            raise InputError(f"{type(self).__name__} is not an affine map of the rows; use transform or to_torch")
        return affine

    def _width(self, side: int) -> int:
        assert self._dims is not None
        return self._dims[side]

    def _solved(self) -> tuple[Map, Map]:
        if self._maps is None:
            if self.moments_ is None:
                raise NotFittedError(f"this {type(self).__name__} is not fitted; call fit(X, Y) first")
            self._maps = self.solve(self.moments_.numpy())
        return self._maps

    def transform(self, X: Any, Y: Array = None, /) -> tuple[Array, Array]:
        """Both sides aligned: (n, d) -> (n, k) for each. One `Pairs` must have the names that were fitted."""
        if isinstance(X, Pairs):
            if self.names_ is not None and tuple(X.names) != self.names_:
                raise InputError(
                    f"pairs of {' and '.join(X.names)} came to a {type(self).__name__} fitted on "
                    f"{' and '.join(self.names_)}; fit one on these modalities, or give the arrays themselves"
                )
            X, Y = (side.read(0, side.shape[0]) for side in (X.x, X.y))
        return self.transform_x(X), self.transform_y(Y)

    def transform_x(self, X: Array, /) -> Array:
        """Rows (n, d) of the first side, or one row (d,), aligned. Float16 comes back as float32."""
        return self._transform(X, 0)

    def transform_y(self, Y: Array, /) -> Array:
        """Rows (n, d) of the second side, or one row (d,), aligned. Float16 comes back as float32."""
        return self._transform(Y, 1)

    def _transform(self, rows: Array, side: int) -> Array:
        mapping = self._solved()[side]
        if rows.ndim == 1:
            return self._transform(rows[None, :], side)[0]
        if rows.ndim != 2 or rows.shape[1] != self._width(side):
            raise InputError(
                f"rows of shape {tuple(rows.shape)} came to the {('first', 'second')[side]} side of a "
                f"{type(self).__name__} fitted on width {self._width(side)}"
            )
        dtype, devices = arrays.compute_dtype(str(rows.dtype)), current().devices
        if devices and isinstance(rows, np.ndarray):
            with full_precision():
                return np.array(arrays.to_numpy(self._transform(to_device_cached(rows, devices[0], dtype), side)))
        clean = arrays.RowNormalizer(dtype, normalize=self.normalize)
        try:
            mapped = mapping(clean(rows))
        except arrays.InvalidRowsError:
            host = arrays.to_numpy(rows)
            bad = np.flatnonzero(~np.isfinite(host).all(axis=1) | ~host.any(axis=1))
            raise InputError(
                f"{format_rows(bad)} (counted from 0) hold NaN, infinite values or only zeros; remove them first"
            ) from None
        return arrays.unit_rows(mapped) if self.normalize and self.normalizes_output else mapped

    def to_torch(self) -> Any:
        """A `torch.nn.Module` with the heads `x` and `y`; `module(X, Y)` gives what `transform(X, Y)` gives.

        Maps are float64 buffers, not parameters, and are cast to the rows' dtype; gradients reach the rows.
        """
        from isthmus.align.torch_module import module

        return module(self)

    def drift(self, X_new: Any = None, Y_new: Any = None, /) -> Drift:
        """How far rows of a new corpus lie from those of the fit, and what it costs; pairs are not needed."""
        from isthmus.align._drift import drift

        return drift(self, X_new, Y_new)

    def adapt(self, X_new: Any = None, Y_new: Any = None, /) -> Self:
        """A copy refitted to unpaired rows of a new corpus as far as these suffice; paired parts stay.

        An aligner that needs no pairs is solved anew (a side that is not given keeps its statistics); one that does
        gets new means. Errors: `InputError` when neither side is given, or nothing in the aligner is a mean.
        """
        from isthmus.align._drift import adapt

        return adapt(self, X_new, Y_new)

    @property
    def uses_pairs(self) -> bool:
        """Whether this solution, with these options, came from the pairing."""
        return self.requires_pairing

    def _adapted(self, new: Statistics) -> tuple[Map, Map]:
        """The maps for a corpus with the statistics `new`; those of the fit are `statistics_`."""
        if not self.uses_pairs:
            return self.solve(new.moments(normalize=self.normalize))
        old, moved = self.statistics_, []
        for mapping, before, after in zip(
            self._solved(), (old.mean_x, old.mean_y), (new.mean_x, new.mean_y), strict=True
        ):
            if not self.uses_means:
                raise InputError(
                    f"{type(self).__name__} holds no means: unpaired rows cannot adapt it; fit it on pairs of the new "
                    "corpus"
                )
            moved.append(mapping.shifted(before - after))
        return moved[0], moved[1]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The options, as scikit-learn asks for them."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    def set_params(self, **options: Any) -> Self:
        """Change options; fit again afterwards."""
        for name, value in options.items():
            if name not in self.get_params():
                raise unknown_name(f"option of {type(self).__name__}", name, self.get_params())
            setattr(self, name, value)
        self._maps = None
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write maps, options and fit statistics as safetensors; `isthmus.load` reads them back exactly."""
        tables = {}
        for side, mapping in zip("xy", self._solved(), strict=True):
            tables.update(map_tables(mapping, side))
        tables.update(self.statistics_.tables())
        header = {
            "class": type(self).__name__,
            "options": self.get_params(),
            "dims": self._dims,
            "names": self.names_,
            "n": self.statistics_.n_x,
            "facts": self.fit_info_,
            **self._header(),
        }
        # safetensors has no empty files worth the name: keep the widths as a table too.
        tables["dims"] = np.asarray(self._dims, dtype=np.int64)
        save_arrays(path, "aligner", tables, header)

    def _header(self) -> dict[str, Any]:
        """More that is to be saved, as JSON values."""
        return {}

    def _restore(self, header: dict[str, Any]) -> None:
        """Take back what `_header` gave."""


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
    aligner.fit_info_ = header["facts"]
    aligner._maps = (map_from_tables(tables, "x"), map_from_tables(tables, "y"))
    aligner._statistics = Statistics.from_tables(tables)
    aligner._restore(header)
    return aligner


def registry() -> dict[str, type[Aligner]]:
    """Return all aligner classes by name."""
    return dict(REGISTRY)


def get(name: str) -> type[Aligner]:
    """Return the aligner class of this name; case, '-' and '_' are ignored."""
    return REGISTRY.find(name)


def register(cls: type[Aligner]) -> type[Aligner]:
    """Register an aligner class under its name; `InputError` when another class has that name."""
    return REGISTRY.register(cls.__name__, cls)


def unregister(name: str) -> type[Aligner]:
    """Remove the aligner class of this name from the registry and return it."""
    return REGISTRY.unregister(name)


__all__ = ["Affine", "Aligner", "Map", "NormalizedAffine", "get", "load", "register", "registry", "unregister"]

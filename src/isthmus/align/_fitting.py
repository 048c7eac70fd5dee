"""Fitting of an aligner to pairs, streams, moments or unpaired rows, and its fitted state."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, cast

import numpy as np

from isthmus.align._data_warnings import warn_of_fit
from isthmus.align._further import Further, Names, keeps_pairing, pairs_of_rows, rows_by_name, with_further
from isthmus.align._maps import Map
from isthmus.align._options import Options
from isthmus.align._state import CurrentFit, FittedState
from isthmus.align._statistics import Statistics
from isthmus.align._stream import PairStream
from isthmus.compute.threads import blas_limited
from isthmus.data.pairs import Pairs
from isthmus.data.sources import Source
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError, NotFittedError
from isthmus.utils.transposition import check_same_dim

_Unpaired = tuple[Moments | None, Moments | None]


@dataclass(kw_only=True, eq=False)
class Fitting(Options, abc.ABC):
    """Fit and fitted state of an aligner, without the use of its maps."""

    #: True if the solution needs pairs. If False, unpaired rows suffice.
    requires_pairing: ClassVar[bool] = False
    #: True if the means of the fitted rows are subtracted. The means of other rows are then nonzero by chance.
    uses_means: ClassVar[bool] = False
    #: True if moments determine the solution, so that `partial_fit` on blocks gives the result of `fit`.
    supports_partial_fit: ClassVar[bool] = True
    #: True if scores are corrected and rows stay. `stored`, `query` and `scores` then take the place of `transform`.
    corrects_scores: ClassVar[bool] = False
    #: True if rows of x and y may have different dimensions.
    allows_different_dims: ClassVar[bool] = False
    # Class attributes, because scikit-learn forbids attributes on a new estimator that are not options.
    _fit = cast("CurrentFit | None", None)
    _unpaired = cast("_Unpaired", (None, None))  # moments of each modality with itself
    _more = cast("Mapping[str, Further]", {})  # modalities after the second
    _stream = cast("PairStream | None", None)  # pairs of the calls of `partial_fit`
    _arrays = cast("dict[str, np.ndarray]", {})  # further arrays of the fitted state

    @abc.abstractmethod
    def solve(self, moments: Moments) -> tuple[Map, Map]:
        """Return the two row maps for these moments.

        This is the only method that a new aligner must implement. It may assign numbers that explain the solution to
        `self.fit_info_`, as a dictionary of JSON values.

        Parameters
        ----------
        moments : Moments
            NumPy moments (float64) of the fitted pairs, divided by their norm if `normalize` is True. Without pairing,
            x and y are uncorrelated in them.

        Returns
        -------
        map_x, map_y : Affine or NormalizedAffine
            Maps of the rows of x and y. Both give rows of the same dimension.

        Raises
        ------
        InputError
            If these moments have no solution.
        """

    @property
    def uses_pairs(self) -> bool:
        """Return whether the solution with these options depends on the pairing. The default is `requires_pairing`."""
        return self.requires_pairing

    def fit(
        self,
        X: Any = None,
        Y: Any = None,
        /,
        *,
        index: Any = None,
        paired: bool = True,
        group: bool = True,
        names: Names | None = None,
        **modalities: Any,
    ) -> Self:
        """Fit to the rows of two or more modalities.

        Parameters
        ----------
        X : array of shape (n, d), or Pairs
            Rows of the first modality, or both modalities with their names.
        Y : array of shape (m, d), optional
            Rows of the second modality. Row i belongs to row i of X unless `index` is given.
        index : array of int of shape (m,), optional
            Row of X that each row of Y belongs to.
        paired : bool, default True
            If False, rows do not belong together, and their numbers may differ.
        group : bool, default True
            Whether equal rows of a modality are one item with several matches.
        names : tuple of str, optional
            Names of the two modalities. Default: those of the Pairs.
        **modalities : array of shape (n, d)
            Rows of two or more modalities by name, in place of X and Y. Pairs are those of the first with each other.

        Returns
        -------
        Aligner
            This aligner.

        Raises
        ------
        InputError
            If an option or a row is invalid, a modality is missing, or an aligner that requires pairs gets none.
        """
        X, Y, names, further = rows_by_name(X, Y, names, modalities, None, paired=paired)
        if modalities and self._accepts_unpaired:
            paired = keeps_pairing(paired, index, X, Y)
        self._more = {}
        if Y is None and not isinstance(X, Pairs):
            raise InputError(
                "fit got rows of one modality, expected both: give X and Y, or Pairs; partial_fit with paired=False "
                "takes one modality at a time"
            )
        if paired:
            pairs = pairs_of_rows(X, Y, index, names=names, group=group, normalize=self.normalize)
            self.fit_moments(Moments.of(pairs, normalize=self.normalize), names=names)
        else:
            self._fit, self._unpaired = None, (None, None)
            self._add_unpaired(X, Y, names)
        warn_of_fit(self, X, Y, further, index=index, paired=paired, names=names)
        return self._add_further(X, further, paired, group=group)

    def partial_fit(
        self,
        X: Any = None,
        Y: Any = None,
        /,
        *,
        index: Any = None,
        paired: bool = True,
        names: Names | None = None,
        **modalities: Any,
    ) -> Self:
        """Add rows to those of earlier calls. The result is that of one `fit` on all of them.

        An item may continue in the next block. Other rows that come back are new items and reported.

        Parameters
        ----------
        X : array of shape (n, d), Pairs, or None
            Rows of the first modality, or both modalities. None is allowed if `paired` is False.
        Y : array of shape (m, d), optional
            Rows of the second modality. None is allowed if `paired` is False.
        index : array of int of shape (m,), optional
            Row of X that each row of Y belongs to.
        paired : bool, default True
            If False, rows do not belong together, and one modality may be given at a time.
        names : tuple of str, optional
            Names of the two modalities. Default: those of the Pairs, or of the earlier calls.
        **modalities : array of shape (n, d)
            Rows of modalities by name, in place of X and Y, such as pairs of the first one and one after the second.

        Returns
        -------
        Aligner
            This aligner.

        Raises
        ------
        InputError
            If an option or a row is invalid, or if paired and unpaired rows or other modalities are mixed.
        """
        known_names = None if self._fit is None else self._fit.names
        X, Y, names, further = rows_by_name(X, Y, names, modalities, known_names, paired=paired, min_rows=1)
        if names and known_names and names != known_names:
            raise self._wrong_names(names, known_names)
        names = names or known_names
        if modalities and self._accepts_unpaired:
            paired = keeps_pairing(paired, index, X, Y)
        if further and Y is None and (X is None or paired):
            return self._add_further(X, further, paired)
        if not paired:
            return self._add_unpaired(X, Y, names)._add_further(X, further, paired)
        if self._unpaired != (None, None):
            raise InputError(
                f"this {type(self).__name__} was fitted to unpaired rows and cannot add pairs; pass paired=False, or "
                "call fit to start again"
            )
        pairs = pairs_of_rows(X, Y, index, names=names, group=True, normalize=self.normalize, is_block=True)
        more, stream = self._more, PairStream.continued(self._stream, None if self._fit is None else self._fit.moments)
        self._fit_sums(stream.add(pairs, normalize=self.normalize, names=names), names)
        self._more, self._stream = more, stream
        return self._add_further(X, further, paired)

    def _add_further(self, first: Any, further: Mapping[str, Source], paired: bool, *, group: bool = True) -> Self:
        """Add rows of modalities after the second. They are paired with those of the first one, or alone."""
        if further:
            fit = self._fit
            if fit is None or fit.moments is None:
                raise InputError(f"{', '.join(further)}: comes before the first two; give all modalities to fit")
            dim = None if self.allows_different_dims else fit.dims[1]
            options: Any = {"hub_name": (fit.names or "x")[0], "dim": dim, "group": group, "normalize": self.normalize}
            self._more = with_further(self._more, first, further, paired, **options)
            fit.maps, fit.info = None, {}
        return self

    def fit_moments(self, moments: Moments, /, *, names: Names | None = None) -> Self:
        """Fit to moments that were computed before.

        Parameters
        ----------
        moments : Moments
            Moments of the pairs.
        names : tuple of str, optional
            Names of the two modalities.

        Returns
        -------
        Aligner
            This aligner.

        Raises
        ------
        InputError
            If an option is invalid, or if the moments have another `normalize` or dimensions that do not fit.
        """
        self.validate_options()
        self._check_normalize(moments)
        self._more = {}
        return self._set_moments(moments, names)

    def _set_moments(self, moments: Moments, names: Names | None) -> Self:
        """Replace the fit by moments of pairs or of unpaired rows."""
        if not self.allows_different_dims:
            check_same_dim((moments.dim_x,), (moments.dim_y,), *(names or ("x", "y")))
        # The maps are solved on first use, so that a stream of partial_fit solves once.
        self._fit = CurrentFit((moments.dim_x, moments.dim_y), moments=moments, names=names)
        self._unpaired = (None, None)
        return self

    def _fit_sums(self, moments: Moments, names: Names | None) -> Self:
        """Fit to the moments of all blocks of a stream."""
        return self.fit_moments(moments, names=names)

    def _check_normalize(self, moments: Moments) -> None:
        if moments.normalize != self.normalize:
            raise InputError(
                f"got moments with normalize={moments.normalize}, expected {self.normalize} as in {type(self).__name__}"
            )

    def _add_unpaired(self, X: Any, Y: Any, names: Names | None) -> Self:
        """Add unpaired rows of one or both modalities to the earlier ones."""
        self.validate_options()
        if not self._accepts_unpaired:
            raise InputError(
                f"{type(self).__name__} needs pairs and cannot be fitted to unpaired rows; use an aligner that needs "
                "no pairs, such as Centering or PartialWhitening"
            )
        if self._fit is not None and self._unpaired == (None, None):
            raise InputError(
                f"this {type(self).__name__} was fitted to pairs and cannot add unpaired rows; call fit with "
                "paired=False to start again"
            )
        sums: list[Moments | None] = []
        for earlier, rows in zip(self._unpaired, (X.x, X.y) if isinstance(X, Pairs) else (X, Y), strict=True):
            block = None if rows is None else Moments.of(rows, rows, normalize=self.normalize).numpy()
            sums.append(block if earlier is None else earlier if block is None else earlier + block)
        moments_x, moments_y = sums
        if moments_x is not None and moments_y is not None:
            statistics = Statistics.of_unpaired(moments_x, moments_y)
            self._set_moments(statistics.moments(normalize=self.normalize), names)
            self._require_fit().statistics = statistics
        self._unpaired = (moments_x, moments_y)
        return self

    @property
    def _accepts_unpaired(self) -> bool:
        """Return True if these options have a solution without pairs."""
        return not (self.requires_pairing or self.uses_pairs)

    def _require_fit(self) -> CurrentFit:
        if self._fit is None:
            raise NotFittedError(f"this {type(self).__name__} is not fitted; call fit(X, Y) first")
        return self._fit

    def _solve_once(self) -> tuple[Map, Map]:
        fit = self._require_fit()
        if fit.maps is None and fit.moments is not None:
            self.validate_options()
            if min(self.statistics_.n_x, self.statistics_.n_y) < 2:
                raise InputError("got one row of a modality so far, expected two or more; add rows with partial_fit")
            fit.is_solving = True
            try:
                self._arrays = {}
                with blas_limited(1):  # decompositions keep BLAS threads waiting for each other
                    maps = self.solve(fit.moments.numpy())
                    self._solve_further(maps)
                fit.maps = maps
                if self._stream is not None and self._stream.moments is fit.moments and self._stream.repeated:
                    fit.info = {**fit.info, "repeated_rows": dict(self._stream.repeated)}
            finally:
                fit.is_solving = False
        assert fit.maps is not None
        return fit.maps

    def _solve_further(self, maps: tuple[Map, Map]) -> None:
        """Store the maps of modalities after the second in `_arrays`."""

    @property
    def map_x_(self) -> Map:
        """Return the map of the rows of x."""
        return self._solve_once()[0]

    @property
    def map_y_(self) -> Map:
        """Return the map of the rows of y."""
        return self._solve_once()[1]

    @property
    def moments_(self) -> Moments | None:
        """Return the moments of the fit, or None after `load`."""
        return self._require_fit().moments

    @property
    def names_(self) -> Names | None:
        """Return the names of the two modalities, or None if they have none."""
        return self._require_fit().names

    @property
    def fit_info_(self) -> dict[str, Any]:
        """Return numbers that explain the solution."""
        fit = self._require_fit()
        if not fit.is_solving:  # `solve` may read what it has stored
            self._solve_once()
        return fit.info

    @fit_info_.setter
    def fit_info_(self, info: dict[str, Any]) -> None:
        self._require_fit().info = info

    @property
    def statistics_(self) -> Statistics:
        """Return means and covariances of the fitted rows."""
        fit = self._require_fit()
        if fit.statistics is None:
            if fit.moments is None:
                raise InputError(
                    f"this {type(self).__name__} was saved without statistics of its rows; fit and save it again"
                )
            fit.statistics = Statistics.of(fit.moments.numpy())
        return fit.statistics

    @property
    def fitted_state(self) -> FittedState:
        """Return everything that was learned from data. Assign it to an aligner of the same class to restore it."""
        map_x, map_y = self._solve_once()
        fit = self._require_fit()
        statistics = None if fit.statistics is None and fit.moments is None else self.statistics_
        return FittedState(
            map_x, map_y, fit.dims, statistics, fit.names, self.uses_pairs, dict(fit.info), self._further_arrays()
        )

    @fitted_state.setter
    def fitted_state(self, state: FittedState) -> None:
        self._unpaired = (None, None)
        self._fit = CurrentFit(
            state.dims,
            statistics=state.statistics,
            names=state.names,
            maps=(state.map_x, state.map_y),
            info=dict(state.fit_info),
        )
        self._restore_arrays(state.arrays)

    def _further_arrays(self) -> dict[str, np.ndarray]:
        """Return arrays of the fitted state besides maps and statistics."""
        return dict(self._arrays)

    def _restore_arrays(self, further: dict[str, np.ndarray]) -> None:
        """Take over what `_further_arrays` returned."""
        self._arrays, self._more = dict(further), {}

    def _wrong_names(self, names: Names, expected: Names) -> InputError:
        return InputError(
            f"got pairs of {' and '.join(names)}, expected {' and '.join(expected)}, which this {type(self).__name__} "
            "was fitted to; fit another aligner to these modalities, or give the arrays themselves"
        )

    def _discard_maps(self) -> None:
        if self._fit is not None:
            solvable = self._fit.moments is not None and self._fit.moments.normalize == self.normalize
            self._fit = replace(self._fit, maps=None, info={}) if solvable else None

    def __sklearn_is_fitted__(self) -> bool:
        return self._fit is not None

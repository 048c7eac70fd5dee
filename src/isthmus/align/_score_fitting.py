"""Fit of score corrections: moments and banks of two or more modalities."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self, cast

import numpy as np

from isthmus.align._bank import Bank, common_pairs
from isthmus.align._base import Aligner
from isthmus.align._fitting import Names
from isthmus.align._index_forms import INDEX_FORMS, METRICS
from isthmus.align._maps import Affine, Map, arrays_of_map, map_of_arrays
from isthmus.align._registry import REGISTRY
from isthmus.align._score_model import Cloud, ScoreModel, ScoreRule, cloud_of_rows
from isthmus.align._score_solution import further_map, map_rows, solve_levels
from isthmus.data.columns import as_source
from isthmus.data.pairs import Pairs
from isthmus.data.sources import Source
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError


@dataclass(kw_only=True, eq=False)
class ScoreFitting(Aligner):
    """Options and fit of a score correction, without the use of its scores."""

    row_map: Aligner | str | None = None
    bank_size: int = 1000
    rng: int = 0
    index: str = "lists"
    metric: str = "inner_product"

    corrects_scores: ClassVar[bool] = True
    # Class attributes, because scikit-learn forbids attributes on a new estimator that are not options.
    _banks = cast("Mapping[int, Bank]", {})
    _more = cast("Mapping[str, Moments]", {})  # moments of each modality after the second with itself
    _arrays = cast("dict[str, np.ndarray]", {})  # further arrays of the fitted state
    _model = cast("ScoreModel | None", None)

    @abc.abstractmethod
    def rule(self) -> ScoreRule:
        """Return what these options do with scores.

        Returns
        -------
        ScoreRule
            The rule.
        """

    def check_options(self) -> None:
        """Raise `InputError` if an option is invalid."""
        name = type(self).__name__
        if not self.normalize:
            raise InputError(f"got normalize=False, expected True, because {name} scores unit rows")
        if self.index not in INDEX_FORMS:
            raise InputError(f"index={self.index!r}, expected 'lists', 'exact' or 'shared'")
        if self.metric not in METRICS:
            raise InputError(f"metric={self.metric!r}, expected 'inner_product' or 'cosine'")
        rule = self.rule()
        if self.bank_size < 2 or rule.k < 1:
            raise InputError(f"bank_size={self.bank_size}, k={rule.k}: expected at least 2 and at least 1")
        weights = (rule.hubness_weight or 0.0, rule.level_weight)
        if not (min(weights) >= 0 and rule.beta > 0):
            raise InputError(f"{name} got weights {weights} and beta={rule.beta}, expected at least 0, and above 0")
        mapper = self._mapper()
        if mapper is not None and (isinstance(mapper, ScoreFitting) or not mapper.normalize):
            raise InputError(f"row_map={mapper!r}: expected a row map with normalize=True, such as 'Centering'")

    def _mapper(self) -> Aligner | None:
        """Return the row map in front, not fitted."""
        if self.row_map is None:
            return None
        if isinstance(self.row_map, str):
            return cast("Aligner", REGISTRY.find(self.row_map)())
        return type(self.row_map)(**self.row_map.get_params())

    @property
    def uses_pairs(self) -> bool:
        """Return whether the row map or the hubness weight depends on the pairing of the fitted rows."""
        mapper = self._mapper()
        if mapper is not None and mapper.uses_pairs:
            return True
        if self._fit is None:
            return False
        if self._fit.maps is not None and not self._fit.is_solving:
            return bool(self._fit.info.get("gain"))
        return self._is_paired and self.rule().hubness_weight is None

    @property
    def _accepts_unpaired(self) -> bool:
        mapper = self._mapper()
        return mapper is None or not mapper.uses_pairs

    @property
    def _is_paired(self) -> bool:
        return self._fit is not None and self._fit.moments is not None and self._unpaired == (None, None)

    @property
    def _keeps_bank(self) -> bool:
        """Return True if rows are kept, for pools or because levels of mapped rows do not follow from moments."""
        return self.rule().needs_bank or self.row_map is not None

    @property
    def modalities(self) -> tuple[str, ...]:
        """Return the names of the modalities in the order of the fit: 'x' and 'y' for arrays without names."""
        fit = self._require_fit()
        if fit.moments is None:
            return tuple(fit.info["modalities"])
        return (*(fit.names or ("x", "y")), *self._more)

    def fit(
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
        """Fit to the rows of two or more modalities.

        Parameters
        ----------
        X : array of shape (n, d), or Pairs
            Rows of the first modality, or two modalities with their names.
        Y : array of shape (m, d), optional
            Rows of the second modality.
        index : array of int of shape (m,), optional
            Row of X that each row of Y belongs to.
        paired : bool, default True
            If False, rows do not belong together.
        names : tuple of str, optional
            Names of the first two modalities.
        **modalities : array of shape (n, d)
            Rows of two or more modalities by name, such as `image=X, text=Y, audio=Z`, in place of X and Y. The first
            two count as pairs if they have equally many rows and `paired` is True. So does each further one with the
            first.

        Returns
        -------
        ScoreCorrection
            This aligner.

        Raises
        ------
        InputError
            If an option is invalid, a modality is missing, or rows are invalid.
        """
        fresh = type(self)(**self.get_params())
        if Y is None and not isinstance(X, Pairs) and len(modalities) < 2:
            Aligner.fit(fresh, X)  # raises
        fresh.partial_fit(X, Y, index=index, paired=paired, names=names, **modalities)
        for name in ("_fit", "_unpaired", "_banks", "_more", "_arrays", "_model"):
            setattr(self, name, getattr(fresh, name))
        return self

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

        Parameters
        ----------
        X : array of shape (n, d), Pairs, or None
            Rows of the first modality, or two modalities with their names. None is allowed if `paired` is False.
        Y : array of shape (m, d), optional
            Rows of the second modality. None is allowed if `paired` is False.
        index : array of int of shape (m,), optional
            Row of X that each row of Y belongs to.
        paired : bool, default True
            If False, rows do not belong together, and some of the modalities may be given.
        names : tuple of str, optional
            Names of the first two modalities.
        **modalities : array of shape (n, d)
            Rows of modalities by name, in place of X and Y.

        Returns
        -------
        ScoreCorrection
            This aligner.

        Raises
        ------
        InputError
            If an option or a row is invalid, or if paired and unpaired rows are mixed.
        """
        self.validate_options()
        X, Y, names, further = self._by_name(X, Y, names, modalities)
        sources: list[Source | None]
        if isinstance(X, Pairs):
            sources = [X.x, X.y]
            index = X.index
        else:
            sources = [None if rows is None else as_source(name, rows) for name, rows in zip("xy", (X, Y), strict=True)]
        if modalities and index is None and not _same_length(*sources):
            paired = False
        hub = self._banks.get(0)
        if X is not None or Y is not None or not further:
            super().partial_fit(X, Y, index=index if not isinstance(X, Pairs) else None, paired=paired, names=names)
        fit = self._fit
        for name, source in further.items():
            if fit is None or fit.moments is None or source.shape[1] != fit.dims[1]:
                reason = "come before the first two" if fit is None or fit.moments is None else "have another dimension"
                raise InputError(f"{name}: its rows {reason}; give the rows of all modalities of one dimension to fit")
            block = Moments.of(source, source, normalize=self.normalize).numpy()
            self._more = {**self._more, name: self._more[name] + block if name in self._more else block}
        self._model, self._arrays = None, {}
        if fit is not None:
            fit.maps, fit.info = None, {}
        if not self._keeps_bank:
            return self
        first = sources[0]
        n_items = 0 if first is None else first.shape[0]
        numbers = {name: 2 + number for number, name in enumerate(self._more)}
        numbered = [*enumerate(sources), *((numbers[name], source) for name, source in further.items())]
        for number, rows in numbered:
            if rows is None:
                continue
            is_paired = paired if number < 2 else paired and _same_length(first, rows)
            owner = np.arange(rows.shape[0]) if number != 1 or index is None else np.asarray(index)
            bank = Bank.extended(
                self._banks.get(number), rows, size=self.bank_size, seed=self.rng,
                owner=owner if is_paired else None, first_item=0 if hub is None else hub.n_items, n_items=n_items,
            )  # fmt: skip
            self._banks = {**self._banks, number: bank}
        return self

    def _by_name(
        self, X: Any, Y: Any, names: Names | None, modalities: Mapping[str, Any]
    ) -> tuple[Any, Any, Names | None, dict[str, Source]]:
        """Return the rows and names of the first two modalities, and the rows of further ones by name."""
        if not modalities:
            return X, Y, names, {}
        if X is not None or Y is not None:
            raise InputError("got rows by position and by name, expected all by name, such as image=X, text=Y, audio=Z")
        known = (None if self._fit is None else self._fit.names) or names or tuple(modalities)
        if len(known) < 2:
            raise InputError(f"got rows of {known[0]} alone, expected two or more modalities in the first call")
        sources = {name: as_source(name, rows) for name, rows in modalities.items() if rows is not None}
        first, second = sources.pop(known[0], None), sources.pop(known[1], None)
        return first, second, (known[0], known[1]), sources

    def fit_moments(self, moments: Moments, /, *, names: Names | None = None) -> Self:
        """Fit to moments that were computed before, if the correction needs no bank of rows.

        Parameters
        ----------
        moments : Moments
            Moments of the pairs.
        names : tuple of str, optional
            Names of the two modalities.

        Returns
        -------
        ScoreCorrection
            This aligner.

        Raises
        ------
        InputError
            If the correction needs rows, or if an option or the moments are invalid.
        """
        self.validate_options()
        self._check_normalize(moments)
        if self._keeps_bank:
            raise InputError(f"{type(self).__name__} needs rows for its bank, and moments hold none; use fit")
        self._banks, self._more, self._arrays, self._model = {}, {}, {}, None
        return super().fit_moments(moments, names=names)

    def _fit_sums(self, moments: Moments, names: Names | None) -> Self:
        return self._set_moments(moments, names)

    def solve_scores(self, moments: Moments) -> tuple[Map, Map]:
        """Solve for the row maps, and store levels and weights of the scores in `fit_info_`.

        Parameters
        ----------
        moments : Moments
            Moments of the first two modalities.

        Returns
        -------
        map_x, map_y : Affine or NormalizedAffine
            The maps of `row_map`, or identity maps.
        """
        names = self.modalities
        statistics, by_item = self.statistics_, moments.by_item
        n_rows = (statistics.n_x, statistics.n_y) if self._unpaired != (None, None) else (by_item.n_items, moments.n)
        clouds = [
            Cloud(n_rows[0], statistics.mean_x, statistics.cov_x),
            Cloud(n_rows[1], statistics.mean_y, statistics.cov_y),
            *(Cloud(more.n, more.mean_x, more.cov_x) for more in self._more.values()),
        ]
        mapper = self._mapper()
        maps: tuple[Map, Map] = (Affine(), Affine())
        if mapper is not None:
            mapper.fit_moments(moments)
            maps = mapper.map_x_, mapper.map_y_
        self._arrays, self._model = {}, None
        banks = [self._banks[number] for number in sorted(self._banks)]
        pairing = {number: common_pairs(banks[0], bank) for number, bank in enumerate(banks) if number}
        self.fit_info_ = self._solve_levels(names, clouds, [bank.rows for bank in banks], maps, pairing)
        return maps

    def _solve_levels(
        self,
        names: tuple[str, ...],
        clouds: list[Cloud],
        banks: list[np.ndarray],
        maps: tuple[Map, Map],
        pairing: Mapping[int, tuple[np.ndarray, np.ndarray]],
    ) -> dict[str, Any]:
        """Return levels and weights of the scores as JSON values, and keep the arrays of the solution."""
        tables = {f"bank.{number}": rows for number, rows in enumerate(banks)}
        all_maps: list[Map] = list(maps)
        for number, cloud in enumerate(clouds[2:], 2):
            tables |= {f"mean.{number}": cloud.mean, f"cov.{number}": cloud.cov}
            all_maps.append(further_map(self._mapper(), names[number], (clouds[0], cloud), maps[0], banks))
            tables |= {f"map.{key}": table for key, table in arrays_of_map(all_maps[-1], str(number)).items()}
        mapped = [map_rows(mapping, rows) for mapping, rows in zip(all_maps, banks, strict=False)]
        counts = {name: cloud.n for name, cloud in zip(names, clouds, strict=True)}
        if self.row_map is not None:
            clouds = [cloud_of_rows(rows) for rows in mapped]
        info = {"modalities": list(names), "rows": counts}
        info |= solve_levels(self.rule(), names, clouds, mapped, pairing)
        self._arrays = tables
        return info

    def _further_arrays(self) -> dict[str, np.ndarray]:
        return dict(self._arrays)

    def _restore_arrays(self, further: dict[str, np.ndarray]) -> None:
        self._arrays, self._banks, self._more, self._model = dict(further), {}, {}, None

    def set_params(self, **options: Any) -> Self:
        """Change options. The form and the metric of the index can be changed after a fit and after `load`.

        Parameters
        ----------
        **options : Any
            New values by name.

        Returns
        -------
        ScoreCorrection
            This aligner.

        Raises
        ------
        InputError
            If an option does not exist.
        """
        if options.keys() <= {"index", "metric"}:
            vars(self).update(options)
            return self
        return super().set_params(**options)

    def _discard_maps(self) -> None:
        self._model = None
        if self._keeps_bank and not self._banks:
            self._fit = None  # the bank of other options was not kept
        super()._discard_maps()

    def _mapping(self, number: int) -> Map:
        if number < 2:
            return super()._mapping(number)
        self._solve_once()
        prefix = "map."
        tables = {key.removeprefix(prefix): table for key, table in self._arrays.items() if key.startswith(prefix)}
        return map_of_arrays(tables, str(number))


def _same_length(first: Source | None, second: Source | None) -> bool:
    return first is not None and second is not None and first.shape[0] == second.shape[0]

"""Fit of score corrections: moments and banks of two or more modalities."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, cast

import numpy as np

from isthmus.align._bank import Bank, common_pairs, representatives
from isthmus.align._bank_rows import BlockEnds, continued_entries, ends_of_pairs, rows_by_number, rows_of_pairs
from isthmus.align._base import Aligner
from isthmus.align._data_warnings import warn_of_fit
from isthmus.align._further import (
    Cloud,
    Further,
    Names,
    further_map,
    keeps_pairing,
    pairs_of_rows,
    rows_by_name,
    tables_of_further,
)
from isthmus.align._index_forms import INDEX_FORMS, METRICS
from isthmus.align._maps import Affine, Map
from isthmus.align._registry import REGISTRY
from isthmus.align._score_model import ScoreModel, ScoreRule, cloud_of_rows
from isthmus.align._score_solution import map_rows, solve_levels
from isthmus.align._stream import FEW_ITEMS, PairStream
from isthmus.data.columns import as_source
from isthmus.data.grouping import as_one_item
from isthmus.data.pairs import Pairs
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError

BANKS = ("sample", "cluster")  #: Ways to take a bank from the fitted rows.
ROWS_PER_CLUSTER = 8  #: Rows of the sample for each cluster.


@dataclass(kw_only=True, eq=False)
class ScoreFitting(Aligner):
    """Options and fit of a score correction, without the use of its scores."""

    row_map: Aligner | str | None = None
    bank_size: int = 1000
    bank: str = "sample"
    rng: int = 0
    index: str = "lists"
    metric: str = "inner_product"

    corrects_scores: ClassVar[bool] = True
    # Class attributes, because scikit-learn forbids attributes on a new estimator that are not options.
    _banks = cast("Mapping[int, Bank]", {})
    _bank_ends = cast("BlockEnds | None", None)  # of the last block of a stream
    _model = cast("ScoreModel | None", None)
    _compared = cast("frozenset[int]", frozenset())  # modalities of which rows were compared with those of the fit

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
            raise InputError(f"index={self.index!r}, expected 'lists', 'centered', 'exact' or 'shared'")
        if self.metric not in METRICS:
            raise InputError(f"metric={self.metric!r}, expected 'inner_product' or 'cosine'")
        if self.bank not in BANKS:
            raise InputError(f"bank={self.bank!r}, expected 'sample' or 'cluster'")
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
        if not isinstance(self.row_map, Aligner):
            raise InputError(f"row_map={self.row_map!r}: expected a row map, such as 'Centering' or Centering()")
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
    def needs(self) -> str:
        """Return what a fit with these options needs: pairs or none, and a bank of rows or moments alone."""
        return f"{super().needs}, {'a bank of rows' if self._keeps_bank else 'moments suffice'}"

    @property
    def _accepts_unpaired(self) -> bool:
        mapper = self._mapper()
        return mapper is None or not mapper.uses_pairs

    @property
    def _is_paired(self) -> bool:
        return self._fit is not None and self._fit.moments is not None and self._unpaired == (None, None)

    @property
    def _sample_size(self) -> int:
        """Return the number of rows that are kept while fitting, from which the bank is taken."""
        return self.bank_size * (ROWS_PER_CLUSTER if self.bank == "cluster" else 1)

    @property
    def _keeps_bank(self) -> bool:
        """Return True if rows are kept, for pools or because levels of mapped rows do not follow from moments."""
        return self.rule().needs_bank or self.row_map is not None

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
        X, Y : array of shape (n, d) and (m, d)
            Rows of the two modalities, or Pairs alone.
        index : array of int of shape (m,), optional
            Row of X that each row of Y belongs to.
        paired : bool, default True
            If False, rows do not belong together.
        group : bool, default True
            Whether equal rows of a modality are one item with several matches.
        names : tuple of str, optional
            Names of the first two modalities.
        **modalities : array of shape (n, d)
            Rows of two or more modalities by name. The first counts as paired with each one of as many rows.

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
        X, Y = (X, Y) if modalities else rows_by_name(X, Y, names, {}, None)[:2]
        if Y is None and not isinstance(X, Pairs) and len(modalities) < 2:
            Aligner.fit(fresh, X)  # raises
        fresh._stream = PairStream(remembers=False)
        fresh._add_rows(X, Y, index, paired, names, modalities, group=group, min_rows=2)
        for name in ("_fit", "_unpaired", "_banks", "_more", "_arrays", "_model", "_compared"):
            setattr(self, name, getattr(fresh, name))
        self._bank_ends = None
        X, Y, names, further = rows_by_name(X, Y, names, modalities, None)
        paired = keeps_pairing(paired, index, X, Y) if modalities else paired
        warn_of_fit(self, X, Y, further, index=index, paired=paired, names=names)
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
        X, Y : array of shape (n, d) and (m, d), or None
            Rows of the two modalities, or Pairs and None. One of them may be None if `paired` is False.
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
        """
        return self._add_rows(X, Y, index, paired, names, modalities, group=True, min_rows=1)

    def _add_rows(
        self, X: Any, Y: Any, index: Any, paired: bool, names: Names | None, modalities: Mapping[str, Any], *,
        group: bool, min_rows: int,
    ) -> Self:  # fmt: skip
        self.validate_options()
        known_names = None if self._fit is None else self._fit.names
        X, Y, names, further = rows_by_name(X, Y, names, modalities, known_names, paired=paired, min_rows=min_rows)
        if not isinstance(X, Pairs):  # sources remember which of their rows are equal
            X, Y = (None if rows is None else as_source(name, rows) for name, rows in zip("xy", (X, Y), strict=True))
        paired = keeps_pairing(paired, index, X, Y) if modalities else paired
        pairs = None
        if paired and (isinstance(X, Pairs) or (X is not None and Y is not None)):
            block = min_rows == 1
            pairs = pairs_of_rows(X, Y, index, names=names, group=group, normalize=self.normalize, is_block=block)
        if pairs is not None:
            super().partial_fit(pairs, names=names or known_names)
        elif X is not None or Y is not None or not further:
            super().partial_fit(X, Y, index=index, paired=paired, names=names or known_names)
        self._add_further(X, further, paired, group=group)
        self._model, self._arrays = None, {}
        if self._fit is not None:
            self._fit.maps, self._fit.info, self._fit.names = None, {}, names or known_names
        if not self._keeps_bank:
            return self
        if pairs is not None and not further:
            if group and min_rows == 1 and pairs.n_pairs < FEW_ITEMS:  # a small block may be a part of one item
                pairs = as_one_item(pairs, normalize=self.normalize)
            entries, n_items = rows_of_pairs(pairs)
        else:
            X, Y = (X.x, X.y) if isinstance(X, Pairs) else (X, Y)
            numbered = {2 + [*self._more].index(name): rows for name, rows in further.items()}
            entries, n_items = rows_by_number(
                (X, Y), numbered, index, paired=paired, group=group, normalize=self.normalize
            )
        first_item = 0 if (hub := self._banks.get(0)) is None else hub.n_items
        ends = None if pairs is None or further or not group else ends_of_pairs(pairs)
        new, n_items, self._bank_ends = continued_entries(entries, n_items, first_item, ends, self._bank_ends)
        for number, (new_rows, items) in new.items():
            bank = Bank.extended(
                self._banks.get(number), new_rows, size=self._sample_size, seed=self.rng, items=items,
                first_item=first_item, n_items=n_items,
            )  # fmt: skip
            self._banks = {**self._banks, number: bank}
        return self

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
        self._banks, self._more, self._arrays, self._model, self._bank_ends = {}, {}, {}, None, None
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
        statistics = self.statistics_
        n_rows = (statistics.n_x, statistics.n_y) if self._unpaired != (None, None) else moments.n_distinct
        clouds = [
            Cloud(n_rows[0], statistics.mean_x, statistics.cov_x),
            Cloud(n_rows[1], statistics.mean_y, statistics.cov_y),
            *(replace(more.cloud, n=more.moments.n_distinct[1]) for more in self._more.values()),
        ]
        further = list(self._more.values())
        mapper = self._mapper()
        maps: tuple[Map, Map] = (Affine(), Affine())
        if mapper is not None:
            mapper.fit_moments(moments)
            maps = mapper.map_x_, mapper.map_y_
        self._arrays, self._model = {}, None
        banks = [self._banks[number] for number in sorted(self._banks)]
        pairing = {number: common_pairs(banks[0], bank) for number, bank in enumerate(banks) if number}
        self.fit_info_ = self._solve_levels(names, clouds, [bank.rows for bank in banks], maps, further, pairing)
        return maps

    def _solve_levels(
        self,
        names: tuple[str, ...],
        clouds: list[Cloud],
        samples: list[np.ndarray],
        maps: tuple[Map, Map],
        more: Sequence[Further],
        pairing: Mapping[int, tuple[np.ndarray, np.ndarray]],
    ) -> dict[str, Any]:
        """Return levels and weights of the scores as JSON values, and keep the arrays of the solution."""
        clusters = self.bank == "cluster"
        banks = [representatives(rows, self.bank_size) for rows in samples] if clusters else samples
        tables = {f"bank.{number}": rows for number, rows in enumerate(banks)}
        all_maps: list[Map] = list(maps)
        for number, cloud in enumerate(clouds[2:], 2):
            mapper, mapping = self._mapper(), cast("Map", Affine())
            if mapper is not None:
                mapping = further_map(mapper, names[number], clouds[0], more[number - 2], maps[0])
            all_maps.append(mapping)
            tables |= tables_of_further(number, cloud, mapping)
        mapped = [map_rows(mapping, rows) for mapping, rows in zip(all_maps, samples, strict=False)]
        pairs = {
            number: (mapped[0][first[: self.bank_size]], mapped[number][other[: self.bank_size]])
            for number, (first, other) in pairing.items()
        }
        counts = {name: cloud.n for name, cloud in zip(names, clouds, strict=True)}
        if self.row_map is not None:
            clouds = [cloud_of_rows(rows) for rows in mapped]
        if clusters:
            mapped = [map_rows(mapping, rows) for mapping, rows in zip(all_maps, banks, strict=False)]
        info = {"modalities": list(names), "rows": counts}
        info |= solve_levels(self.rule(), names, clouds, mapped, pairs)
        self._arrays = tables
        return info

    def _solve_further(self, maps: tuple[Map, Map]) -> None:
        """`solve_scores` has stored the maps of modalities after the second."""

    def _restore_arrays(self, further: dict[str, np.ndarray]) -> None:
        super()._restore_arrays(further)
        self._banks, self._bank_ends, self._model, self._compared = {}, None, None, frozenset()

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

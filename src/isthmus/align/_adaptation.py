"""Further modalities of row maps, comparison with a new corpus, and adaptation to it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from isthmus.align._drift import Drift, measure_drift
from isthmus.align._further import Cloud, Further, further_map, tables_of_further
from isthmus.align._maps import Map
from isthmus.align._roles import Roles
from isthmus.align._statistics import Statistics
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError


@dataclass(kw_only=True, eq=False)
class Adaptation(Roles):
    """Drift and adaptation of an aligner. A score correction overrides what does not hold for it."""

    def _solve_further(self, maps: tuple[Map, Map]) -> None:
        if not self._more:
            return
        clouds = {number: more.cloud for number, more in enumerate(self._more.values(), 2)}
        self._arrays |= self._further_tables(maps[0], self._fitted_cloud(0), clouds, list(self._more.values()))
        rows = {name: more.cloud.n for name, more in self._more.items()}
        self.fit_info_ = {**self.fit_info_, "modalities": list(self.modalities), "rows": rows}

    def _further_tables(
        self, map_first: Map, first: Cloud, clouds: Mapping[int, Cloud], more: list[Further]
    ) -> dict[str, np.ndarray]:
        """Return the arrays of the maps and statistics of the modalities after the second."""
        tables: dict[str, np.ndarray] = {}
        for number, cloud in clouds.items():
            mapper, name = type(self)(**self.get_params()), self.modalities[number]
            mapping = further_map(mapper, name, first, more[number - 2], map_first)
            tables |= tables_of_further(number, cloud, mapping)
        return tables

    def _fitted_cloud(self, number: int) -> Cloud:
        """Return the statistics of the fitted rows of one modality."""
        statistics = self.statistics_
        if number < 2:
            return Cloud.of_statistics(statistics, number)
        self._solve_once()
        count = self.fit_info_["rows"][self.modalities[number]]
        return Cloud(count, self._arrays[f"mean.{number}"], self._arrays[f"cov.{number}"])

    def _new_rows(self, X_new: Any, Y_new: Any, modalities: Mapping[str, Any]) -> dict[int, Any]:
        """Return the rows of a new corpus by the number of their modality."""
        rows = {0: X_new, 1: Y_new} | {self.modality_number(name): new for name, new in modalities.items()}
        rows = {number: new for number, new in rows.items() if new is not None}
        if not rows:
            raise InputError("got no rows, expected rows of the new corpus for x, for y or for both")
        for number, new in rows.items():
            self._check_shape(new, number)
        return rows

    def _new_clouds(self, rows: Mapping[int, Any]) -> dict[int, Cloud]:
        """Return the statistics of new rows."""
        blocks = {k: Moments.of(new, new, normalize=self.normalize).numpy() for k, new in rows.items()}
        return {number: Cloud(block.n, block.mean_x, block.cov_x) for number, block in blocks.items()}

    def drift(self, X_new: Any = None, Y_new: Any = None, /, **modalities: Any) -> Drift:
        """Compare unpaired rows of a new corpus with the rows of the fit.

        The test of the means takes rows as independent and their distribution as nearly Gaussian.

        Parameters
        ----------
        X_new : array of shape (n, d), optional
            New rows of the first modality.
        Y_new : array of shape (m, d), optional
            New rows of the second modality.
        **modalities : array of shape (n, d)
            New rows by the name of their modality.

        Returns
        -------
        Drift
            Shift of the means and change of the covariances, with a test, a null and sentences.

        Raises
        ------
        InputError
            If no rows are given, shapes are wrong, or the aligner was saved without statistics.

        Examples
        --------
        >>> import isthmus
        >>> run = isthmus.demo.arrays("plain", split="test")
        >>> aligner = isthmus.align.Centering().fit(isthmus.demo.load("plain", split="train"))
        >>> bool(aligner.drift(run.image[run.labels == 1]))
        True
        """
        clouds = self._new_clouds(self._new_rows(X_new, Y_new, modalities))
        samples = {self.modalities[k]: (self._fitted_cloud(k), clouds[k]) for k in sorted(clouds)}
        return measure_drift(
            samples,
            uses_means=self.uses_means,
            uses_pairs=self.uses_pairs,
            corrects_scores=self.corrects_scores,
        )

    def adapt(self, X_new: Any = None, Y_new: Any = None, /, **modalities: Any) -> Self:
        """Return a copy that is refitted to unpaired rows of a new corpus, as far as these suffice.

        If the solution needs no pairs, it is solved again, and a modality that is not given keeps its statistics.
        Otherwise the means are replaced and the paired part stays.

        Parameters
        ----------
        X_new : array of shape (n, d), optional
            New rows of the first modality.
        Y_new : array of shape (m, d), optional
            New rows of the second modality.
        **modalities : array of shape (n, d)
            New rows by the name of their modality.

        Returns
        -------
        Aligner
            The adapted copy. This aligner stays as it is.

        Raises
        ------
        InputError
            If no rows are given, shapes are wrong, or the solution depends on pairs and holds no means.

        Examples
        --------
        >>> import numpy as np, isthmus
        >>> X, Y = np.random.default_rng(0).normal(size=(2, 50, 3)) + 1.0
        >>> aligner = isthmus.align.Centering(normalize=False).fit(X, Y).adapt(X + 5.0)
        >>> bool(np.allclose(aligner.transform_x(X + 5.0).mean(axis=0), 0))
        True
        """
        new = self._new_clouds(self._new_rows(X_new, Y_new, modalities))
        state, count = self.fitted_state, len(self.modalities)
        clouds = {number: new.get(number) or self._fitted_cloud(number) for number in range(count)}
        statistics = clouds[0].statistics(clouds[1])
        adapted = copy.copy(self)
        adapted.fitted_state = state
        map_x, map_y = adapted.adapt_maps(statistics)
        arrays = {**state.arrays}
        further = {number: clouds[number] for number in range(2, count)}
        if further and not self.uses_pairs:
            alone = [Further.alone(cloud, normalize=self.normalize) for cloud in further.values()]
            arrays |= self._further_tables(map_x, clouds[0], further, alone)
        for number, cloud in further.items() if self.uses_pairs else ():
            offset = self._fitted_cloud(number).mean - cloud.mean
            arrays |= tables_of_further(number, cloud, self._mapping(number).after_shift(offset))
        rows = {self.modalities[number]: cloud.n for number, cloud in further.items()}
        info = state.fit_info | ({"rows": rows} if further else {})
        adapted.fitted_state = replace(
            adapted.fitted_state, map_x=map_x, map_y=map_y, statistics=statistics, fit_info=info, arrays=arrays
        )
        return adapted

    def adapt_maps(self, statistics: Statistics) -> tuple[Map, Map]:
        """Return the maps for a corpus with other statistics.

        The default solves again if the solution needs no pairs. Otherwise it replaces the means in the maps.

        Parameters
        ----------
        statistics : Statistics
            Statistics of the new corpus. `statistics_` holds those of the fit.

        Returns
        -------
        map_x, map_y : Affine or NormalizedAffine
            The adapted maps.

        Raises
        ------
        InputError
            If the solution depends on pairs and holds no means.
        """
        if not self.uses_pairs:
            return self.solve(statistics.moments(normalize=self.normalize))
        if not self.uses_means:
            raise InputError(
                f"{type(self).__name__} holds no means, so unpaired rows cannot adapt it; fit it to pairs of the new "
                "corpus"
            )
        map_x, map_y = self._solve_once()
        fitted = self.statistics_
        return (
            map_x.after_shift(fitted.mean_x - statistics.mean_x),
            map_y.after_shift(fitted.mean_y - statistics.mean_y),
        )

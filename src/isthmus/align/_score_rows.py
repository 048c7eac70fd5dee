"""Rows of score corrections: mapped rows, the model of their scores, and no `transform`."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from isthmus.align._score_fitting import ScoreFitting
from isthmus.align._score_model import Direction, ScoreModel
from isthmus.align._score_solution import map_rows
from isthmus.compute.arrays import Array


@dataclass(kw_only=True, eq=False)
class ScoreRows(ScoreFitting):
    """Score correction with its rows and its model. Its `transform` raises an error that names `stored` and `query`."""

    @property
    def score_model(self) -> ScoreModel:
        """Return banks, levels and weights of the fit."""
        info = self.fit_info_
        if self._model is None:
            levels: dict[Direction, tuple[float, float]] = {
                (a, b): (level[0], level[1]) for a, row in info["levels"].items() for b, level in row.items()
            }
            banks = {
                name: map_rows(self._mapping(number), self._arrays[f"bank.{number}"])
                for number, name in enumerate(self.modalities)
                if f"bank.{number}" in self._arrays
            }
            self._model = ScoreModel(
                banks, levels, info["hubness_weights"], info["level_weight"], info["k"], info["pooling"], info["beta"]
            )
        return self._model

    @property
    def bank_items(self) -> list[np.ndarray]:
        """Return the item of each bank row of each modality. Empty for a correction that was loaded."""
        return [self._banks[number].items for number in sorted(self._banks)]

    @property
    def row_map_uses_pairs(self) -> bool:
        """Return True if the row map in front depends on the pairing of the fitted rows."""
        mapper = self._mapper()
        return mapper is not None and mapper.uses_pairs

    def mapped(self, rows: Array, /, *, modality: str) -> Any:
        """Return unit rows after the row map in front, without further coordinates.

        Parameters
        ----------
        rows : array of shape (n, d) or (d,)
            Rows.
        modality : str
            Modality of the rows.

        Returns
        -------
        array of shape (n, k) or (k,)
            Unit rows.
        """
        return self._transform(rows, self.modality_number(modality))

    def without_row_map(self) -> Any:
        """Return a copy whose `stored` and `query` append coordinates to rows that the row map has mapped already.

        Returns
        -------
        ScoreCorrection
            The copy, which shares the model of the scores.
        """
        copied = copy.copy(self)
        copied._model = self.score_model
        copied._transform = lambda rows, number: rows  # type: ignore[method-assign]
        return copied

    def transform(self, X: Any, Y: Array = None, /) -> NoReturn:
        """Raise `InputError`, because scores are corrected and rows stay. Use `stored` and `query`.

        Parameters
        ----------
        X : array of shape (n, d), or Pairs
            Rows.
        Y : array of shape (m, d), optional
            Rows.

        Raises
        ------
        InputError
            Always.
        """
        raise self._no_transform()

    def transform_x(self, X: Array, /) -> Array:
        """Raise `InputError`, because scores are corrected and rows stay. Use `stored` and `query`.

        Parameters
        ----------
        X : array of shape (n, d)
            Rows.

        Raises
        ------
        InputError
            Always.
        """
        raise self._no_transform()

    def transform_y(self, Y: Array, /) -> Array:
        """Raise `InputError`, because scores are corrected and rows stay. Use `stored` and `query`.

        Parameters
        ----------
        Y : array of shape (n, d)
            Rows.

        Raises
        ------
        InputError
            Always.
        """
        raise self._no_transform()

    def to_torch(self) -> NoReturn:
        """Raise `InputError`, because scores are corrected and rows stay. Use `stored` and `query`.

        Raises
        ------
        InputError
            Always.
        """
        raise self._no_transform()

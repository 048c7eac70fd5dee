"""Rows and moments that the aligner which `Auto` chooses is fitted to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from isthmus.align._base import Aligner
from isthmus.align._further import Names, same_length
from isthmus.data.pairs import Pairs
from isthmus.data.sources import Source
from isthmus.statistics.moments import Moments


@dataclass(frozen=True, eq=False)
class FittingData:
    """Everything that the chosen aligner is fitted to.

    Attributes
    ----------
    x, y : Source, array or None
        Rows of the first two modalities. None if there are moments alone.
    moments : Moments or None
        Their moments, if they are paired.
    pairs : Pairs or None
        The pairs, if they are paired.
    further : mapping of str to Source
        Rows of further modalities.
    index : array of int, optional
        Row of x that each row of y belongs to.
    group : bool, default True
        Whether equal rows of a modality are one item.
    """

    x: Any
    y: Any
    moments: Moments | None
    pairs: Pairs | None = None
    further: Mapping[str, Source] = field(default_factory=dict)
    index: Any = None
    group: bool = True

    @property
    def paired(self) -> bool:
        """Return whether the first two modalities are paired."""
        return self.moments is not None

    @property
    def has_hub_pairs(self) -> bool:
        """Return whether the rows of each further modality are paired with those of the first one by position."""
        return self.paired and all(same_length(self.x, source) for source in self.further.values())

    def fit(self, aligner: Aligner, names: Names | None, *, paired: bool) -> None:
        """Fit an aligner to these data. `paired` says whether a score correction uses the pairing."""
        if self.further:
            assert names is not None
            rows = {names[0]: self.x, names[1]: self.y, **self.further}
            paired = paired or (self.paired and not aligner.corrects_scores)
            aligner.fit(**rows, index=self.index, paired=paired, group=self.group)
        elif self.moments is not None and (self.x is None or not aligner.corrects_scores):
            aligner.fit_moments(self.moments, names=names)
        else:
            modality_rows = (self.x, self.y) if self.pairs is None else (self.pairs,)
            aligner.fit(*modality_rows, paired=paired, names=names)

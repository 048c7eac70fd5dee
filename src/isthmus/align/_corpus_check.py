"""Warning of rows that are unlike those that the bank of a score correction was taken from."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.align._further import Cloud
from isthmus.compute.arrays import to_numpy, unit_rows
from isthmus.statistics.intervals import satterthwaite_p_value
from isthmus.utils.errors import IsthmusWarning
from isthmus.utils.warning import is_dropped, warn

#: Fewer rows than this are not compared, and of more at most `MAX_ROWS`, evenly spaced.
MIN_ROWS, MAX_ROWS = 100, 5_000
#: Rows are unlike if their common offset exceeds this part of their spread and equal means have a smaller p-value.
MAX_OFFSET, LEVEL = 0.1, 1e-3


class CorpusWarning(IsthmusWarning):
    """Warns that rows are unlike those of the fit, so that the bank is one of another corpus."""


def warn_of_other_corpus(name: str, fitted: Cloud, rows: Any) -> None:
    """Warn if the mean of the rows (n, d) of a modality is far from that of the fitted unit rows."""
    count = np.shape(rows)[0]
    if count < MIN_ROWS or is_dropped(CorpusWarning):
        return
    sample = np.unique(np.linspace(0, count - 1, min(count, MAX_ROWS)).astype(np.int64))
    table = unit_rows(to_numpy(rows)[sample].astype(np.float64))
    mean = table.mean(axis=0)
    shift, spread = mean - fitted.mean, float(np.vdot(table, table)) / len(table) - float(mean @ mean)
    squared = float(shift @ shift)
    offset = np.sqrt(squared / spread) if spread > 0 else np.inf
    if offset <= MAX_OFFSET:
        return
    centred = table - mean
    error = fitted.cov / max(fitted.n - 1, 1) + centred.T @ centred / len(table) / (len(table) - 1)
    if satterthwaite_p_value(squared, error) < LEVEL:
        warn(
            f"these {count:,} rows of {name} are unlike those of the fit: their means differ by "
            f"{100 * offset:.0f} % of their spread; a bank of another corpus loses recall and prefers a modality, so "
            "fit or adapt the correction to rows of the corpus that is searched",
            CorpusWarning,
            stacklevel=4,
        )

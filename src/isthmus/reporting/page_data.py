"""Data of the interactive parts of the report: clouds after each correction, cosines, and examples of pairs."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isthmus.data.pairs import Pairs
from isthmus.data.shared_rows import sampled_items
from isthmus.diagnosis import Calibration
from isthmus.diagnosis._cosine_bins import threshold_curve
from isthmus.evaluation import Comparison
from isthmus.reporting.formatting import aligner_label, gap
from isthmus.reporting.held_out_clouds import HeldOutClouds
from isthmus.reporting.samples import MAX_ITEMS, CloudProjection, one_pair_per_item, visible_rows
from isthmus.utils.errors import InputError
from isthmus.utils.format import counted

#: Positions of the slider of the cosine.
SLIDER_POSITIONS = 201
#: Pairs in each list of examples.
EXAMPLES = 10
#: Characters of a caption that the page shows.
MAX_CAPTION = 200


def plain_text(text: Any, /) -> str:
    r"""Return text from outside on one line, without control and direction characters, cut to 200 characters.

    >>> plain_text("a\u202eb\nc\x00" + "d" * 300)[:6]
    'ab cdd'
    """
    line = " ".join(str(text).split())
    visible = (character for character in line if unicodedata.category(character) not in ("Cc", "Cf", "Cs"))
    text_line = " ".join("".join(visible).split())
    return text_line if len(text_line) <= MAX_CAPTION else text_line[: MAX_CAPTION - 1] + "…"


def texts_of_items(texts: Sequence[Any] | None, pairs: Pairs, /) -> Sequence[Any] | None:
    """Return a text for each item from a text for each row of x, if equal rows of x were grouped."""
    counts = (pairs.grouped or {}).get(pairs.names[0])
    if texts is None or counts is None or len(texts) != counts["rows"] or pairs.dropped or pairs.key_join:
        return texts
    return [texts[row] for row in pairs.x.numbers(np.arange(pairs.n_items))]


def item_texts(texts: Mapping[str, Sequence[Any] | None], n_items: int, /) -> dict[str, list[str]]:
    """Return texts of the items by kind, checked and cleaned.

    Parameters
    ----------
    texts : mapping of str to sequence or None
        'ids', 'labels' or 'captions', one text for each item.
    n_items : int
        Number of items.

    Raises
    ------
    InputError
        If their number is not that of the items.
    """
    cleaned = {}
    for kind, values in texts.items():
        if values is None:
            continue
        if len(values) != n_items:
            raise InputError(
                f"{kind}: got {counted(len(values), 'text')} for {counted(n_items, 'item')}, expected one for each item"
            )
        cleaned[kind] = [plain_text(value) for value in values]
    return cleaned


def cloud_views(
    clouds: HeldOutClouds,
    comparison: Comparison | None,
    texts: Mapping[str, Sequence[str]],
    /,
    *,
    shown: str | None,
) -> dict[str, Any]:
    """Return coordinates of held-out rows, raw and after every row map of the table, for the script of the page.

    Parameters
    ----------
    clouds : HeldOutClouds
        The rows.
    comparison : Comparison or None
        The table. Without one, all pairs are shown raw.
    texts : mapping of str to sequence of str
        Result of `item_texts`.
    shown : str or None
        Name of the map that is shown first.
    """
    numbers, rows = clouds.numbers, visible_rows(len(clouds.numbers))
    views = [_view("raw", clouds.raw, rows, "These are the raw rows.")]
    for row in [] if comparison is None else comparison.rows:
        if not row.scores or row.name == "Identity":
            continue
        if row.aligner.corrects_scores:
            note = f"{aligner_label(row)} corrects the scores and leaves the rows where they are."
            views.append({"name": aligner_label(row), "same": 0, "note": note})
            continue
        projection = clouds.mapped(row)
        if projection is not None:
            views.append(_view(aligner_label(row), projection, rows, f"Gap angle: {gap(row)}. Fitted on other pairs."))
    names = [view["name"] for view in views]
    return {
        "names": [plain_text(name) for name in clouds.pairs.names],
        "views": views,
        "shown": names.index(shown) if shown in names else min(1, len(views) - 1),
        "rows": numbers[rows].tolist(),
        **{kind: [values[number] for number in numbers[rows]] for kind, values in texts.items()},
    }


def _view(name: str, projection: CloudProjection, rows: np.ndarray, note: str) -> dict[str, Any]:
    means = np.stack([projection.x.mean(axis=0), projection.y.mean(axis=0)])
    return {
        "name": name,
        "x": np.round(projection.x[rows], 4).tolist(),
        "y": np.round(projection.y[rows], 4).tolist(),
        "means": np.round(means, 4).tolist(),
        "distance": round(projection.distance, 4),
        "note": note,
    }


def slider_data(calibration: Calibration, /) -> dict[str, list[float | None]]:
    """Return precision, recall and the share of non-matching pairs above each cosine of the slider."""
    curve = threshold_curve(calibration, SLIDER_POSITIONS)
    return {
        name: [None if not np.isfinite(value) else round(float(value), 6) for value in values]
        for name, values in curve.items()
    }


@dataclass(frozen=True)
class PairExamples:
    """Pairs that people look at first, as rows of tables: item, cosine or rank, and texts.

    Parameters
    ----------
    lists : mapping of str to list of list of str
        'nearest', 'farthest', 'failures' and 'hubs'.
    headers : mapping of str to tuple of str
        Titles of the columns.
    items : int
        Number of sampled items.
    numbers : mapping of str to list of list of int
        Numbers of the items in the first columns of each row.
    """

    lists: Mapping[str, list[list[str]]]
    headers: Mapping[str, tuple[str, ...]]
    items: int
    numbers: Mapping[str, list[list[int]]] = field(default_factory=dict)

    @classmethod
    def of(cls, pairs: Pairs, texts: Mapping[str, Sequence[str]], /, *, normalize: bool) -> PairExamples:
        """Return the examples among at most 2,000 items."""
        sample = pairs.sample(MAX_ITEMS)
        x, y = one_pair_per_item(sample, normalize=normalize)
        numbers = sampled_items(pairs.sampling_units, MAX_ITEMS)[sample.first_pairs[0]]
        scores = x @ y.T
        matching = np.diagonal(scores)
        ranks = (scores >= matching[:, None]).sum(axis=1)  # ties count against the query
        first = scores.argmax(axis=1)
        order = np.argsort(-matching, kind="stable")

        def item(position: int) -> str:
            own = [values[numbers[position]] for values in texts.values()]
            return f"{numbers[position]:,}" + (f": {' · '.join(own)}" if own else "")

        def pair_line(position: int) -> list[str]:
            return [item(position), f"{matching[position]:.3f}", f"{ranks[position]:,}"]

        failures = [p for p in np.argsort(-ranks, kind="stable")[:EXAMPLES] if ranks[p] > 1]
        counts = np.bincount(first, minlength=len(numbers))
        hubs = [p for p in np.argsort(-counts, kind="stable")[:EXAMPLES] if counts[p] > 1]
        x_name, y_name = pairs.names
        return cls(
            {
                "nearest": [pair_line(p) for p in order[:EXAMPLES]],
                "farthest": [pair_line(p) for p in order[::-1][:EXAMPLES]],
                "failures": [[item(p), item(first[p]), f"{ranks[p]:,}"] for p in failures],
                "hubs": [[item(p), f"{counts[p]:,}"] for p in hubs],
            },
            {
                "nearest": ("Item", "Cosine", "Rank of the match"),
                "farthest": ("Item", "Cosine", "Rank of the match"),
                "failures": (f"{x_name} query", f"First {y_name}", "Rank of the match"),
                "hubs": (f"{y_name}", "Queries that find it first"),
            },
            len(numbers),
            {
                "nearest": [[int(numbers[p])] for p in order[:EXAMPLES]],
                "farthest": [[int(numbers[p])] for p in order[::-1][:EXAMPLES]],
                "failures": [[int(numbers[p]), int(numbers[first[p]])] for p in failures],
                "hubs": [[int(numbers[p])] for p in hubs],
            },
        )

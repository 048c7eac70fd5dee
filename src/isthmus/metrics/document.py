"""Write the page of all measures: `python -m isthmus.metrics.document docs/reference/metrics.md`."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Sequence

from isthmus.metrics._conditions import DEGENERATE_CASES
from isthmus.metrics._metric import FAMILIES, Metric, registry
from isthmus.utils.files import atomic_path

_OPENING = """# The measures

This page is generated from the registry by `python -m isthmus.metrics.document docs/reference/metrics.md`. A test
compares the two.

isthmus has {measures} measures in {families} families. Each names its source below. `isthmus measure X Y`
prints twelve of them, and `--all` prints all. `--metrics fast` prints those that need no rows, and
`--metrics neighbours,centroid_angle` prints a family of this page and a single measure. The same names work in Python,
in `isthmus.measure(pairs, metrics=...)`.

x and y are the two modalities. A pair is a row of x with a matching row of y. An item is a row of x with all its
matching rows of y. Rows of different items are non-matching pairs. In names, `{side}` stands for one of the modalities,
and `{x}` and `{y}` stand for the two.

- **Needs**: `moments` need one pass over the data. `rows` need rows as well, of a sample of at most 10,000 items.
  `labels` need rows and a class for each item.
- **Interval**: the 95 % interval. `jackknife` is over items, around the value, which is without the bias of sampling.
  Where the field reports the biased form, `plugin` stands beside the value, and may lie outside of the interval.
  `normal` is that of a mean over items, `wilson` that of a share. `subsampling` uses halves of the items, drawn
  without replacement. `none` gives the reason. `benchmarks/covering.py` measures what the intervals cover. Near zero,
  where a normal interval is wrong, squared lengths have the interval of a noncentral chi-square, and intervals are too
  wide rather than too narrow.
  Standard errors come from at most 2,000 random items where the moments alone do not give them.
- **Null**: the value by chance. `pair shuffle` draws the matching rows anew, and `random retrieval` draws ranks
  evenly. `modality swap` exchanges the rows of a pair with probability 1/2. `random subspace` and `random direction`
  are drawn evenly. `isotropic cloud` has as many rows without a preferred direction. `zero mean` means directions
  whose mean is zero. `true labels` is the value of the labels themselves.
- **Invariant**: changes that leave the value alone. They are a rotation (one for both modalities), positive factors of
  rows, and a swap of the modalities.

**Not offered.** These published measures are left out, because they need more than two sets of vectors, or because
another measure contains them: the unbalanced optimal transport gap (UOT-Gap), the modality integration rate of language
models (MIR), the modality dominance of sparse features (MDS), penetration and coverage of AnisoAlign, the spectral
alignment score, PWCCA, cycle and longest-subsequence neighbours, the divergence of conformity histograms, the
Cauchy-Schwarz divergence, and the distribution gap of TPC-CMA, whose formula we have not seen.

If there are fewer items than dimensions, measures of spectra and subspaces have a note with the number of items that
they need.

**Sets without pairs.** An index and a set of queries, which belong to no row of it, have no pairs and different sizes.
`isthmus measure base.npy query.npy --unpaired`, or `isthmus.measure(x, y, unpaired=True)`, gives all measures whose
line "Needs" says *no pairs*, and the others are undefined with that reason. Means, spectra and subspaces use all rows.
Measures of rows use as many random rows of both sets. Standard errors are those of two independent samples, and
`modality swap` deals all rows to two sets of the same sizes.

**Degenerate data.** An encoder that collapsed returns nearly the same row for every item. `measure`, `explain`,
`report` and `inspect` look for such data first and name them: all rows of a modality are the same, or nearly the same
(the mean has more than 99.9 % of their length), they lie along one direction, or they vary in few directions. They
also name matching pairs that are equal or have one cosine, and data of two to five items. Then they do not doubt the
order of the rows, because these data cannot decide on it. `Result.pairs["degenerate"]` holds the findings. The
monitor of a training names them at its first snapshot, and the losses name a collapsed first batch. `report` of too
few items or different rows has no comparison and states why. Products in float32, which more than 50,000 pairs have,
cannot tell rows that differ by less than a thousandth of their length.

A measure without a meaning on such data is undefined with the reason. The line "Undefined if" lists all cases of each
measure: its fewest items, constant or equal rows, and what else it needs. On all other data it keeps its value: the
angle between two constant modalities is a number, and a narrow cone of distinct rows has a concentration. A measure
that fails for another reason is undefined with that reason, and all others are computed.
"""


def page() -> str:
    """Return the page in Markdown: every registered measure with its definition, formula and declaration.

    >>> page().splitlines()[0]
    '# The measures'
    """
    entries = registry().values()
    n_families = len({entry.family for entry in entries})
    lines = [_OPENING.replace("{measures}", str(len(entries))).replace("{families}", str(n_families))]
    for family in FAMILIES:
        members = [entry for entry in entries if entry.family == family]
        if members:
            lines += [f"## {family[0].upper()}{family[1:]}\n", *(_section(entry) for entry in members)]
    return "\n".join(lines)


def _section(entry: Metric) -> str:
    paragraphs = [" ".join(p.split()) for p in inspect.cleandoc(entry.compute.__doc__ or "").split("\n\n")]
    facts = [
        ("Unit", entry.unit),
        ("Range", " to ".join(_bound(bound) for bound in entry.range)),
        ("Better", entry.direction),
        ("Needs", f"{entry.requires}, {'pairs' if entry.needs_pairs else 'no pairs'}"),
        ("Interval", entry.interval),
        ("Null", entry.null_model),
        ("Invariant", ", ".join(entry.invariances) or "nothing"),
        ("Source", entry.source),
    ]
    if reasons := undefined_reasons(entry):
        facts.insert(-1, ("Undefined if", "; ".join(reasons)))
    lines = [f"- {name}: {value}" for name, value in facts]
    return "\n".join([f"### `{entry.name}`", "", *(f"{p}\n" for p in paragraphs if ">>>" not in p), *lines, ""])


def undefined_reasons(entry: Metric) -> list[str]:
    """Return all data on which a measure is undefined, in words.

    >>> undefined_reasons(registry()["cka"])
    ['there are fewer than 3 items', 'all rows of one modality are the same']
    """
    few_items = [f"there are fewer than {entry.min_items} items"] if entry.min_items > 1 else []
    return [*few_items, *(DEGENERATE_CASES[case] for case in entry.undefined_if), *entry.conditions]


def _bound(bound: float) -> str:
    if math.isinf(bound):
        return "infinity" if bound > 0 else "-infinity"
    return f"{bound:g}"


def main(arguments: Sequence[str]) -> None:
    """Write the page to the file that the only argument names."""
    if len(arguments) != 1:
        raise SystemExit("usage: python -m isthmus.metrics.document FILE")
    with atomic_path(arguments[0]) as temporary:
        temporary.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

"""The table of all measures as a page: `python -m isthmus.metrics.document docs/metrics.md` writes it."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Sequence

from isthmus.metrics._metric import FAMILIES, Metric, registry
from isthmus.utils.files import atomic_path

_OPENING = """# The measures

Made from the registry by `python -m isthmus.metrics.document docs/metrics.md`; a test compares the two.

`isthmus measure X Y` prints them all, `--metrics fast` those that need no rows, `--metrics neighbours,centroid_angle`
a family of this page and a single measure; in Python `isthmus.measure(pairs, metrics=...)`.

x and y are the two sides, a pair is a row of x with a row of y, an item is a row of x with all its partners.
`{side}` stands for the name of one side, `{x}` and `{y}` for those of the two.

- **Needs** `moments`: one pass over the data; `rows`: rows as well, of a sample of the items when there are many.
- **Interval**: 95 %. `jackknife`: over items, around the value without its bias; where the field reports the biased
  value, that may lie outside, and a note says so. `normal`: of a mean over items. `wilson`: of a share.
  `subsampling`: from halves of the items, drawn without replacement. `none`: the reason; `benchmarks/covering.py` shows
  what subsampling covers there. Near zero, where a normal interval is wrong, squared lengths have that of a noncentral
  chi-square; intervals are too wide there rather than too narrow. Standard errors come from the scores of at most
  2,000 random items where the moments alone do not give them.
- **Null**: what chance gives. `pair shuffle`: partners drawn anew; `random retrieval`: ranks drawn evenly;
  `modality swap`: pairs swap their sides with probability 1/2; `random subspace`, `random direction`: drawn evenly;
  `isotropic cloud`: as many rows without any preferred direction; `zero mean`: directions that point nowhere in the
  mean; `true labels`: what the labels themselves have.
- **Invariant** under a rotation (one for both sides), positive factors of rows, a swap of the sides.

With fewer items than dimensions, measures of spectra and subspaces carry a note with the number of items they need.
"""


def page() -> str:
    """The page in Markdown: every registered measure with its definition, formula and promises.

    >>> page().splitlines()[0]
    '# The measures'
    """
    entries = registry().values()
    lines = [_OPENING]
    for family in FAMILIES:
        members = [entry for entry in entries if entry.family == family]
        if members:
            lines += [f"## {family[0].upper()}{family[1:]}\n", *(_section(entry) for entry in members)]
    return "\n".join(lines)


def _section(m: Metric) -> str:
    paragraphs = [" ".join(p.split()) for p in inspect.cleandoc(m.compute.__doc__ or "").split("\n\n")]
    facts = [
        ("Unit", m.unit),
        ("Range", " to ".join(_end(end) for end in m.range)),
        ("Better", m.direction),
        ("Needs", m.requires),
        ("Interval", m.interval),
        ("Null", m.null_model),
        ("Invariant", ", ".join(m.invariances) or "nothing"),
        ("Source", m.source),
    ]
    lines = [f"- {name}: {value}" for name, value in facts]
    return "\n".join([f"### `{m.name}`", "", *(f"{p}\n" for p in paragraphs if ">>>" not in p), *lines, ""])


def _end(end: float) -> str:
    if math.isinf(end):
        return "infinity" if end > 0 else "-infinity"
    return f"{end:g}"


def main(arguments: Sequence[str]) -> None:
    """Write the page to the file that is named."""
    if len(arguments) != 1:
        raise SystemExit("usage: python -m isthmus.metrics.document FILE")
    with atomic_path(arguments[0]) as part:
        part.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

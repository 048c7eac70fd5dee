"""The page of more than two modalities: matrices of the gap and of the budget, and every pair in sentences."""

from __future__ import annotations

import os

import numpy as np

from isthmus.diagnosis import COMPONENTS, Explanation
from isthmus.diagnosis.modalities import PairwiseResults
from isthmus.reporting import figures, wording
from isthmus.reporting.plain_page import plain_page
from isthmus.reporting.section import Section
from isthmus.reporting.svg import inline_svg
from isthmus.utils import validation
from isthmus.utils.files import atomic_path

#: Heading of each matrix, what it shows, and its digits.
MATRICES = {
    "centroid_angle": ("The angles between the means", "Degrees. No number: the angle of that pair is undefined.", 1),
    "total": ("The missing cosine", "1 minus the mean cosine of partners; it is the sum of the four parts below.", 3),
    **{name: (f"The part '{name}'", f"{text[0].upper()}{text[1:]}.", 3) for name, text in COMPONENTS.items()},
    "R@1": ("The partner comes first", "Share of the queries in %; rows are queries, columns are searched.", 1),
}


def modalities_page(
    found: PairwiseResults[Explanation], path: str | os.PathLike[str], /, *, title: str | None = None
) -> None:
    """Write one self-contained page about every two of several modalities to `path`.

    Errors: `InputError` when `path` cannot be written.
    """
    path = validation.check_writable(path)
    sections = [_matrix(found, name) for name in MATRICES]
    for pair, one in found.items():
        drawing = inline_svg(
            figures.budget(one.budget), f"budget-{'-'.join(str(found.names.index(n)) for n in pair)}",
            label=wording.budget(one.budget),
        )  # fmt: skip
        sections.append(
            Section(
                " and ".join(pair),
                one.verdict,
                figure=drawing,
                caption="Where the missing cosine of this pair goes; each bar begins where the one above it ends.",
            )
        )
    first = next(iter(found.values()))
    facts = (
        f"{first.result.pairs['n']:,} rows of {len(found.names)} modalities in {first.result.pairs['dim']:,} dimensions"
    )
    page = plain_page(title or f"The gaps between {', '.join(found.names[:-1])} and {found.names[-1]}", facts, sections)
    with atomic_path(path) as part:
        part.write_bytes(page.encode("utf-8", errors="replace"))


def _matrix(found: PairwiseResults[Explanation], name: str) -> Section:
    heading, text, digits = MATRICES[name]
    matrix = found.matrix(name) * (100 if name == "R@1" else 1)
    cells = [["" if np.isnan(v) else f"{v:.{digits}f}" for v in row] for row in matrix]
    rows = [(side, *row) for side, row in zip(found.names, cells, strict=True)]
    return Section(heading, [text], header=("", *found.names), rows=rows)

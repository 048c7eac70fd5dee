"""The report: one page that shows how big the gap is, where it comes from, and what closing it does."""

from __future__ import annotations

import os
from collections.abc import Sequence

from isthmus.data.pairs import Pairs
from isthmus.diagnosis import Explanation, explain
from isthmus.evaluation import Comparison, compare
from isthmus.reporting.section import Section
from isthmus.utils import validation
from isthmus.utils.files import atomic_path

__all__ = ["report"]


def report(
    pairs: Pairs,
    path: str | os.PathLike[str],
    /,
    *,
    fit: Pairs | None = None,
    comparison: Comparison | None = None,
    title: str | None = None,
    normalize: bool = True,
    extra: Sequence[Section] = (),
) -> Explanation:
    """Write one self-contained HTML page about `pairs` to `path` and return the explanation that it shows.

    The page needs no network and no JavaScript; it reads well in light and dark, on a phone and in print. The
    same input gives the same page. Large data are sampled wherever rows are needed.

    Parameters
    ----------
    fit : pairs that the aligners are fitted on, as in `isthmus.compare`; without them, one half of `pairs`
    comparison : the result of `isthmus.compare`, if it is at hand; otherwise it is computed
    title : heading of the page; default: 'The gap between X and Y'
    extra : more sections for the page

    Errors: `InputError` when `path` cannot be written (found before any work), and all those of
    `isthmus.compare`.

    >>> import isthmus, numpy as np, pathlib, tempfile
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 60, 6)) + [[[2.0]], [[3.0]]]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = pathlib.Path(folder) / "report.html"
    ...     explanation = isthmus.report(isthmus.Pairs(image=X, text=Y), page)
    ...     page.read_text(encoding="utf-8")[:15], explanation.budget.largest
    ('<!doctype html>', 'pairing')
    """
    from isthmus.reporting.page import render

    path = validation.check_writable(path)
    if comparison is None:
        comparison = compare(pairs, fit=fit, normalize=normalize)
    explanation = explain(pairs, comparison=comparison, normalize=normalize)
    text = render(explanation, pairs, fit=fit, title=title, extra=extra)
    with atomic_path(path) as part:
        # A path that is no valid text must not cost the page: what cannot be written becomes a question mark.
        part.write_bytes(text.encode("utf-8", errors="replace"))
    return explanation

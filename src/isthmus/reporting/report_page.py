"""Write the report of one pair of modalities."""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Iterable, Sequence
from typing import Any

from isthmus.compute.resources import n_threads
from isthmus.data.opening import as_pairs
from isthmus.data.shared_rows import sharing_rows
from isthmus.diagnosis import Explanation, explain
from isthmus.diagnosis.recommendation import check_comparison
from isthmus.evaluation import Comparison, compare
from isthmus.evaluation.fit_observers import observing_fits
from isthmus.reporting.descriptions import check_shown_scores
from isthmus.reporting.section import Section
from isthmus.statistics.data_warnings import state_remarks
from isthmus.utils.arguments import shown, type_of
from isthmus.utils.errors import InputError, TooFewItemsError
from isthmus.utils.files import atomic_path
from isthmus.utils.paths import PAGE_SUFFIXES, check_suffix, check_writable
from isthmus.utils.progress import DRAWING, report_progress
from isthmus.utils.validation import check_sample


@sharing_rows()
def report(
    pairs: Any,
    *paths: Any,
    fit: Any = None,
    comparison: Comparison | None = None,
    title: str | None = None,
    normalize: bool = True,
    extra: Sequence[Section] = (),
    captions: Sequence[Any] | None = None,
    ids: Sequence[Any] | None = None,
    images: Any = None,
    drop_bad: bool = False,
    group: bool = True,
    pool: str | None = None,
    sample: int | None = None,
) -> Explanation:
    """Write one self-contained HTML page about `pairs` and return the explanation that it shows.

    Aligners are fitted on one half of the items and judged on the other. If there are too few items, or different rows,
    the page has no comparison and states why. The page needs no network, and is complete without JavaScript. It has a
    light and a dark scheme and a layout for phones and for print. The same input gives the same page. Large data are
    sampled where rows are needed.

    Parameters
    ----------
    pairs : Pairs, array-like or path
        The pairs, both modalities of one width, or the rows of the first modality: an array, list, column or file.
    *paths : array-like or path
        The rows of the second modality, if `pairs` holds the first one alone, and the HTML file.
    fit : Pairs or tuple of two array-likes or paths, optional
        Pairs that the aligners are fitted to and that are not on the page. Default: a random half of `pairs` fits, and
        the other half judges.
    comparison : Comparison, optional
        Result of `isthmus.compare`. Default: it is computed.
    title : str, optional
        Heading of the page. Default: 'The gap between X and Y'.
    normalize : bool, default True
        Whether rows are divided by their norms.
    extra : sequence of Section
        More sections for the page.
    captions : sequence, optional
        A text for each item, that the page shows for points, examples and failures. Texts are escaped.
    ids : sequence, optional
        An identifier for each item, shown beside its number.
    images : path or sequence of path, optional
        An image for each item: a folder, a text file with a path in each line, or the paths. The page holds small
        copies of the images that it shows, encoded anew and without metadata.
    drop_bad : bool, default False
        Leave out pairs with a row that is NaN, infinite or all zero, with a warning that counts them.
    group : bool, default True
        Take equal rows of a modality as one item with several matches, with a warning that counts them.
    pool : {'mean', 'max', 'first'}, optional
        How several vectors of an item, (n, k, d), become one. Vectors that are all zero are padding.
    sample : int, optional
        Items in the sample of measures that need rows, as in `isthmus.measure`. Default: 10,000.

    Returns
    -------
    Explanation
        The explanation on the page.

    Raises
    ------
    InputError
        If the HTML file cannot be written or `sample` is below 100, which is checked first. Also if `isthmus.compare`
        raises it for another reason than too few items.

    Examples
    --------
    >>> import isthmus, numpy as np, pathlib, tempfile
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 60, 6)) + [[[2.0]], [[3.0]]]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = pathlib.Path(folder) / "report.html"
    ...     explanation = isthmus.report(isthmus.Pairs(image=X, text=Y), page)
    ...     page.read_text(encoding="utf-8")[:15], explanation.budget.largest
    ('<!doctype html>', 'pairing')
    """
    # Imported here because jinja2 and the figures are needed for pages only.
    from isthmus.reporting.held_out_clouds import HeldOutClouds
    from isthmus.reporting.page import N_STEPS, render
    from isthmus.reporting.page_data import item_texts, texts_of_items
    from isthmus.reporting.thumbnails import image_paths

    if not 1 <= len(paths) <= 2:
        raise InputError(f"got {len(paths) + 1} arguments, expected report(pairs, path) or report(x, y, path)")
    if not isinstance(paths[-1], (str, os.PathLike)):
        raise InputError(
            f"the last argument is {type_of(paths[-1])}, expected the path of the page: report(x, y, 'report.html')"
        )
    path = check_writable(paths[-1])
    check_suffix(path, PAGE_SUFFIXES, "a page")
    check_sample(sample)
    check_comparison(comparison)
    if not isinstance(extra, Sequence) or not all(isinstance(section, Section) for section in extra):
        raise InputError(
            f"extra={shown(extra)}, expected a list of sections: [isthmus.reporting.Section('Heading', ['Text'])]"
        )
    for name, values in (("captions", captions), ("ids", ids), ("images", images)):
        if values is not None and not isinstance(values, Iterable | os.PathLike):
            raise InputError(f"{name}={shown(values)}, expected a list with one entry for each item")
    pairs = as_pairs(pairs, *paths[:-1], drop_bad=drop_bad, group=group, pool=pool, normalize=normalize)
    fit = (
        None
        if fit is None
        else as_pairs(fit, names=pairs.names, drop_bad=drop_bad, group=group, pool=pool, normalize=normalize)
    )
    ids, captions = texts_of_items(ids, pairs), texts_of_items(captions, pairs)
    texts = item_texts({"ids": ids, "labels": pairs.labels, "captions": captions}, pairs.n_items)
    image_files = None if images is None else image_paths(images, pairs.n_items)
    _load_figures()
    no_comparison, held_out = "", HeldOutClouds(pairs, fit, normalize=normalize)
    state_remarks(pairs)  # in the verdict
    if comparison is None:
        try:
            with observing_fits(held_out.observe):
                comparison = compare(pairs, fit=fit, normalize=normalize)
        except TooFewItemsError as error:
            no_comparison, held_out.is_compared = str(error), False
    if comparison is not None:
        check_shown_scores(comparison, "the page")
    explanation = explain(pairs, comparison=comparison, metrics="all", normalize=normalize, sample=sample)
    if no_comparison:
        explanation.verdict.append(f"No correction was compared: {no_comparison}.")
    page_html = render(
        explanation,
        comparison,
        pairs,
        fit=fit,
        title=title,
        extra=extra,
        no_comparison=no_comparison,
        texts=texts,
        images=image_files,
        held_out=held_out,
    )
    with atomic_path(path) as temporary:
        # A file name that is not valid Unicode becomes question marks instead of an error.
        temporary.write_bytes(page_html.encode("utf-8", errors="replace"))
    report_progress(N_STEPS, N_STEPS, DRAWING)
    return explanation


def _load_figures() -> None:
    """Import matplotlib and compile the templates in another thread while the pairs are compared, if it may be used."""
    from isthmus.reporting.templates import PACKAGE, template_environment

    def load() -> None:
        for module in ("matplotlib.figure", "matplotlib.backends.backend_svg", "matplotlib.style"):
            importlib.import_module(module)
        environment = template_environment(PACKAGE)
        for name in environment.list_templates(extensions=["j2"]):
            environment.get_template(name)

    if n_threads() > 1:
        threading.Thread(target=load, name="figures").start()

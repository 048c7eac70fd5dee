"""Claim: every command takes seconds, and not many times its unavoidable matrix products.

Each verb runs in a process of its own on made-up CLIP-like pairs: two cones with a common anisotropic signal. The bare
products are float32 products of the same shapes in the same process, in turns with the verb, with the same threads.
They are listed in `PRODUCTS`. A query is measured alone, in microseconds above its product. Peers do the same work on
the same rows: faiss, torch.cdist, POT and cka-pytorch, where they are installed. scikit-learn's neighbours are a peer
in `neighbours`.

    python benchmarks/verbs.py [VERB ...] [--rows 20000] [--width 512]
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _table import Row, child, installed, missing, show, threads

#: Rows that are sampled for the measures of rows and for comparisons, and for the choice of `Auto`.
SAMPLED, CHOSEN = 10_000, 2_000
#: The verbs on (rows, width) and the most seconds that are asked for.
VERBS = (
    ("explain", 20_000, 512, 6.0),
    ("explain", 500, 512, 2.5),
    ("fit", 20_000, 512, 8.0),
    ("fit", 1_000, 768, 6.0),
    ("compare", 20_000, 512, 20.0),
    ("report", 20_000, 512, 25.0),
    ("report", 500, 512, 5.0),
)
#: Shapes (rows, columns) of the scores that a verb cannot avoid for n sampled rows. The moments come on top.
PRODUCTS: dict[str, Callable[[int], list[tuple[int, int]]]] = {
    "explain": lambda n: [(min(n, SAMPLED),) * 2],
    # Five folds: each of eight row maps has one product in retrieval and three quarters in mixed search, and each of
    # five score corrections two products with the bank of either modality.
    "fit": lambda n: 5 * (14 * [(min(n, CHOSEN) // 5,) * 2] + 20 * [(min(n, CHOSEN) // 5, 1000)]),
    # Five splits of nine aligners: retrieval and mixed search of the test half, which share three quarters.
    "compare": lambda n: 45 * 3 * [(min(n, SAMPLED) // 2, min(n, SAMPLED) // 4)],
    "report": lambda n: PRODUCTS["compare"](n) + 3 * [(min(n, SAMPLED),) * 2],
}
#: Rows of the comparison with a package whose cost grows with the cube of their number.
CKA_ROWS = 4_000
#: Microseconds above the product that are asked for.
QUERIES = {"transform_y of PartialWhitening": 50.0, "query and merge of ScoreCalibration, 1,000 bank rows": 150.0}


def clip_like(rows: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows of two modalities: an anisotropic common signal, noise and a cone for each."""
    rng = np.random.default_rng(0)
    scales = (np.arange(1, width + 1) ** -0.5).astype(np.float32)
    signal = rng.standard_normal((rows, width), dtype=np.float32)
    tables = []
    for number in range(2):
        table = (signal + 0.8 * rng.standard_normal((rows, width), dtype=np.float32)) * scales
        table[:, 3 + 7 * number] += 1.5
        tables.append(table / np.linalg.norm(table, axis=1, keepdims=True))
    return tables[0], tables[1]


def verb_seconds(name: str, rows: int, width: int) -> dict[str, float]:
    """Seconds of a verb and of its bare products, in this process alone."""
    import isthmus

    warnings.simplefilter("ignore", isthmus.IsthmusWarning)
    x, y = clip_like(rows, width)

    def bare() -> None:
        _ = x.T @ x, y.T @ y, x.T @ y
        for m, n in PRODUCTS[name](rows):
            for start in range(0, m, 400):
                _ = x[start : min(start + 400, m)] @ y[:n].T

    with tempfile.TemporaryDirectory() as folder:
        pairs = isthmus.Pairs(image=x, text=y)
        work: dict[str, Callable[[], Any]] = {
            "explain": lambda: isthmus.explain(pairs).calibration,
            "fit": lambda: isthmus.align.Auto().fit(pairs),
            "compare": lambda: isthmus.compare(pairs),
            "report": lambda: isthmus.report(pairs, Path(folder) / "report.html"),
        }
        bare()
        seconds = {}
        for contender, run in (("bare", bare), ("verb", work[name])):
            begin = time.perf_counter()
            run()
            seconds[contender] = time.perf_counter() - begin
        begin = time.perf_counter()
        bare()
        seconds["bare"] = min(seconds["bare"], time.perf_counter() - begin)
    return seconds


def query_microseconds(width: int = 512, repeats: int = 2000) -> dict[str, tuple[float, float]]:
    """Microseconds of one query, and of its bare product, for each kind of correction."""
    import isthmus

    x, y = clip_like(5_000, width)
    whitening = isthmus.align.PartialWhitening().fit(image=x, text=y)
    correction = isthmus.align.ScoreCalibration().fit(image=x, text=y)
    query, matrix = y[0], np.ascontiguousarray(whitening.map_y_.matrix, dtype=np.float32)
    banks = [np.ascontiguousarray(rows[:1000]) for rows in (x, y)]
    values, numbers = -np.sort(-np.random.default_rng(0).random((1, 30), dtype=np.float32)), np.arange(30)[None]
    lists = {"image": (values, numbers), "text": (values, numbers)}

    def asked() -> None:
        correction.query(query, modality="text")
        correction.merge(lists, query, modality="text", k=10)

    def least(run: Callable[[], Any]) -> float:
        best = float("inf")
        for _ in range(repeats):
            begin = time.perf_counter()
            run()
            best = min(best, time.perf_counter() - begin)
        return 1e6 * best

    names = list(QUERIES)
    return {
        names[0]: (least(lambda: whitening.transform_y(query)), least(lambda: query @ matrix)),
        names[1]: (least(asked), least(lambda: [bank @ query for bank in banks])),
    }


def peer_seconds(rows: int, width: int) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds by the clock, and of the processor, of isthmus and of its peers, the least of three rounds in turns.

    Each does the same work, and the results are compared first.
    """
    from _table import fastest_both

    from isthmus.compute.topk import topk
    from isthmus.metrics import _neighbours, _pairwise_sums
    from isthmus.metrics._paired_rows import PairedRows
    from isthmus.metrics.kernel_alignment import Hsic
    from isthmus.metrics.sliced import DIRECTIONS, Slices

    x, y = clip_like(rows, width)

    def cka_of_products() -> float:
        a, b = (table[:CKA_ROWS] - table[:CKA_ROWS].mean(axis=0) for table in (x, y))
        return Hsic.of(a, b).value / (Hsic.of(a, a).value * Hsic.of(b, b).value) ** 0.5

    work: dict[str, Callable[[], Any]] = {
        "nearest": lambda: topk(x, y, k=20, exclude_self=False),
        "nearest within": lambda: topk(x, x, k=20, exclude_self=True),
        "four searches": lambda: _neighbours.Neighbours.of(x, y, k=20),
        "distances": lambda: _pairwise_sums.PairwiseSums.of(PairedRows(x, y)),
        "slices": lambda: Slices.of(PairedRows(x, y)).squared,
        "CKA": cka_of_products,
    }
    faiss, torch, transport = installed("faiss"), installed("torch"), installed("ot")
    hsic = installed("cka_pytorch.hsic")
    if transport is not None:
        work["POT"] = lambda: transport.sliced_wasserstein_distance(x, y, n_projections=DIRECTIONS, seed=0)
    if faiss is not None:
        faiss.omp_set_num_threads(threads())
        index, own = faiss.IndexFlatIP(width), faiss.IndexFlatIP(width)
        index.add(y)
        own.add(x)
        work["faiss flat"] = lambda: index.search(x, 20)
        work["faiss flat, within"] = lambda: own.search(x, 21)  # it finds the row itself too
        work["faiss flat, four searches"] = lambda: [
            index.search(x, 20), own.search(y, 20), own.search(x, 21), index.search(y, 21),
        ]  # fmt: skip
        for ours, theirs, first in (("nearest", "faiss flat", 0), ("nearest within", "faiss flat, within", 1)):
            np.testing.assert_allclose(work[ours]().scores, work[theirs]()[0][:, first:], atol=1e-5)
    if torch is not None:
        torch.set_num_threads(threads())
        sides = torch.from_numpy(x), torch.from_numpy(y)
        work["torch.cdist"] = lambda: [float(torch.cdist(a, b).sum()) for a in sides for b in sides]
    if torch is not None and hsic is not None:
        # The CKA of the package takes models and loads of images; this is what it makes of two layers of one load.
        def cka() -> float:
            centred = [side[:CKA_ROWS] - side[:CKA_ROWS].mean(dim=0) for side in sides]
            grams = [side.matmul(side.T)[None] for side in centred]
            xy, xx, yy = (float(hsic.hsic1(grams[a], grams[b])) for a, b in ((0, 1), (0, 0), (1, 1)))
            return xy / (xx * yy) ** 0.5

        difference = abs(cka() - work["CKA"]())
        assert difference < 1e-3, f"CKA of the package differs by {difference}"
        work["cka-pytorch"] = cka
    return fastest_both(work, repeats=3)


def rows(verbs: Sequence[str] = (), n: int = 0, width: int = 0) -> list[Row]:
    """Seconds of each verb against what is asked for, with the ratio to its bare products; queries and peers."""
    table = []
    for verb, verb_rows, verb_width, most in VERBS:
        if verbs and verb not in verbs:
            continue
        size = (n or verb_rows, width or verb_width)
        seconds = child("verbs", "verb_seconds", verb, *size)
        ratio = seconds["verb"] / seconds["bare"]
        table.append(
            Row(f"{verb}, {size[0]:,} x {size[1]}", f"{seconds['verb']:.1f} s", f"{most:g} s allowed",
                seconds["verb"] / most, most=1, machine=f"{ratio:.3g} times the bare products")
        )  # fmt: skip
    if not verbs or "query" in verbs:
        for what, (ours, bare) in child("verbs", "query_microseconds").items():
            most = QUERIES[what]
            table.append(
                Row(f"one query, {what}", f"{ours:.0f} microseconds", f"bare product: {bare:.0f} microseconds",
                    (ours - bare) / most, most=1, machine=f"{ours - bare:.0f} above, {most:.0f} allowed")
            )  # fmt: skip
    if not verbs or "peers" in verbs:
        table += _peers(n or SAMPLED, width or 512)
    return table


def _peers(n: int, width: int) -> list[Row]:
    """Rows of the peers."""
    clock, seconds = child("verbs", "peer_seconds", n, width)
    size, table = f"{n:,} x {width}", []
    for ours, peer, claim in (
        ("nearest", "faiss flat", "20 nearest rows of the other modality"),
        ("nearest within", "faiss flat, within", "20 nearest other rows of one modality"),
        ("four searches", "faiss flat, four searches", "20 nearest rows within and across, both directions, and ranks"),
        ("distances", "torch.cdist", "sums over all distances within and across"),
        ("slices", "POT", "sliced Wasserstein distance of equally many projections"),
        ("CKA", "cka-pytorch", f"unbiased CKA of {min(n, CKA_ROWS):,} rows"),
    ):
        if peer not in seconds:
            table.append(missing(f"{claim}, {size}", peer))
            continue
        ratio = seconds[peer] / seconds[ours]
        measured = f"{seconds[ours]:.2f} s of the processor"
        by_clock = f"by the clock {clock[ours]:.2f} s, {peer} {clock[peer]:.2f} s"
        table.append(
            Row(f"{claim}, {size}", measured, f"{peer}: {seconds[peer]:.2f} s", ratio, least=1, machine=by_clock)
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verbs", nargs="*", metavar="VERB", help="explain, fit, compare, report, query or peers")
    parser.add_argument("--rows", type=int, default=0, help="of every verb; default: those of the claims")
    parser.add_argument("--width", type=int, default=0)
    options = parser.parse_args()
    show(rows(options.verbs, options.rows, options.width))


if __name__ == "__main__":
    main()

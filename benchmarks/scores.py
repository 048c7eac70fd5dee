"""Claim: corrected scores search a mixed corpus well, prefer no modality, and do not lose cross-modal recall.

    ISTHMUS_FIXTURES=... python benchmarks/scores.py [clip_coco] [videoclip_msrvtt] [clasp_uniprot] [plain] ...

Ten random halves of each set (`numpy.random.default_rng(s).permutation(n)`, s = 0 to 9): fitted on the first half,
judged on the second. The demo's runs are halved in the same way, from their test split. All numbers are in percent:
R@1 is the mean of both directions, exchange and mixed R@1 that of both query modalities. The ratio is the share of the
modality of the query in the top ten over its expected value, so that 1 is fair. The package nnn-retrieval, if it is
installed, takes the same fitting rows as its reference, with k = 8 and its default weight .5.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from _table import Row, show

import isthmus
from isthmus.align import registry as aligners
from isthmus.tasks import TaskData
from isthmus.tasks import registry as tasks

SETS = {
    "clip_coco": ("image", "text"),
    "videoclip_msrvtt": ("video", "text"),
    "clasp_uniprot": ("protein", "text"),
}
#: Methods by name. Those that the registry does not have are left out.
METHODS = ("ScoreStandardization", "ScoreCalibration", "BankNormalization", "CSLS")
#: Aims of `Auto` that are judged too. 'search' has to reach what ScoreCalibration has to.
AIMS = ("search", "retrieval")
#: What ScoreCalibration has to reach: change of R@1 in points, exchange score, mixed R@1.
ASKED = {
    "clip_coco": (3.5, 63, 62),
    "videoclip_msrvtt": (8, 47, 40),
    "plain": (1.5, 48, 44),
    "collapsed": (1, 51, 48),
    "warm": (1, 49, 46),
}
#: Columns of the numbers of one method.
COLUMNS = ("R@1", "exchange_R@1", "mixed_R@1", "same_modality_ratio")
SPLITS = 10


def rows(*names: str) -> list[Row]:
    """Cross-modal recall, exchange score, mixed R@1 and balance of every method on every set."""
    table = []
    for name, pairs in data_sets():
        if names and name not in names:
            continue
        results = measure(pairs)
        raw = results["raw"].mean(axis=0)
        if "nnn-retrieval" in results:
            own, other = (results[method] for method in ("ScoreCalibration", "nnn-retrieval"))
            for title, column in (("R@1", 0), ("exchange score", 1)):
                difference = (own - other)[:, column]
                error, peer = difference.std(ddof=1) / SPLITS**0.5, other[:, column].mean()
                measured = f"{own[:, column].mean():.1f} ({difference.mean():+.1f} ± {error:.1f})"
                least = 1 - 2 * error / peer if column == 0 else 1  # equal within two standard errors
                claim = f"{title} of ScoreCalibration beside nnn-retrieval on {name}"
                ratio = own[:, column].mean() / peer
                table.append(Row(claim, measured, f"nnn-retrieval {peer:.1f}", ratio, round(least, 3)))
        for method, values in results.items():
            change = values[:, 0] - results["raw"][:, 0]
            error = change.std(ddof=1) / SPLITS**0.5
            _, exchange, mixed, balance = values.mean(axis=0)
            line = f"R@1 {change.mean():+.1f} ± {error:.1f}, exchange {exchange:.1f}, mixed {mixed:.1f}, {balance:.2f}"
            baseline = f"raw: R@1 {raw[0]:.1f}, exchange {raw[1]:.1f}, mixed {raw[2]:.1f}, {raw[3]:.2f}"
            if method != "raw":
                table.append(Row(f"{method} on {name}", line, baseline, exchange / raw[1]))
            if method in ("ScoreCalibration", "Auto(search)") and name in ASKED:
                reached = (change.mean(), exchange, mixed)
                for title, value, asked in zip(("change of R@1", *COLUMNS[1:3]), reached, ASKED[name], strict=True):
                    table.append(
                        Row(f"{title} of {method} on {name}", f"{value:.1f}", f"{asked} required", value / asked, 1)
                    )
    return table


class Nnn:
    """Scores of nnn-retrieval in the roles of a score correction: inner products minus half of its mean of a row."""

    def __init__(self, fit: isthmus.Pairs):
        self.banks = dict(zip(("x", "y"), fit.unit(), strict=True))
        self.modalities, self.corrects_scores = ("x", "y"), True

    def query(self, rows: np.ndarray, *, modality: str, index: str = "exact") -> np.ndarray:
        """Rows with a 1."""
        return np.concatenate([rows, np.ones((len(rows), 1), rows.dtype)], axis=1)

    def stored(self, rows: np.ndarray, *, modality: str, queries: str) -> np.ndarray:
        """Rows with minus half of their mean score against the bank, as the package computes it."""
        import nnn

        retriever = nnn.NNNRetriever(rows.shape[1])
        with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
            ranker = nnn.NNNRanker(retriever, rows, self.banks[queries].astype(rows.dtype), alternate_ks=8)
        means = np.asarray(ranker.alignment_means).reshape(-1, 1)
        return np.concatenate([rows, -ranker.alternate_weight * means.astype(rows.dtype)], axis=1)


def data_sets() -> Iterator[tuple[str, isthmus.Pairs]]:
    """The sets that are here, and the test splits of the demo's runs."""
    folder = Path(os.environ.get("ISTHMUS_FIXTURES", "."))
    for name, modalities in SETS.items():
        paths = [folder / name / f"{modality}.npy" for modality in modalities]
        if all(path.exists() for path in paths):
            yield name, isthmus.open_pairs(*paths)
    for run in isthmus.demo.RUNS:
        yield run, isthmus.demo.load(run, split="test")


def measure(pairs: isthmus.Pairs) -> dict[str, np.ndarray]:
    """The columns in percent, the ratio as it is, for each method and split, (10, 4)."""
    results: dict[str, list[list[float]]] = {}
    for seed in range(SPLITS):
        order = np.random.default_rng(seed).permutation(pairs.n_items)
        half = pairs.n_items // 2
        fit, test = pairs.take(np.sort(order[:half])), pairs.take(np.sort(order[half:]))
        x, y = test.unit()
        corrections: dict[str, Any] = {"raw": None}
        corrections |= {name: aligners()[name]().fit(fit) for name in METHODS if name in aligners()}
        corrections |= {f"Auto({aim})": isthmus.align.Auto(aim=aim).fit(fit) for aim in AIMS}
        if importlib.util.find_spec("nnn") is not None:
            corrections["nnn-retrieval"] = Nnn(fit)
        for name, correction in corrections.items():
            rows = (x, y)
            if correction is not None and not correction.corrects_scores:
                rows, correction = correction.transform(x, y), None
            data = TaskData(*rows, owner=test.index, seed=100 + seed, correction=correction)
            scores = tasks()["retrieval"].run(data).scores() | tasks()["mixed_search"].run(data).scores()
            results.setdefault(name, []).append([scores[column] for column in COLUMNS])
    return {name: np.array(values) * (100, 100, 100, 1) for name, values in results.items()}


if __name__ == "__main__":
    show(rows(*sys.argv[1:]))

"""Claim: the shared-space projection and regularised CCA are solved from moments in less time than from the rows.

The projection's peer takes the two thin SVDs of the rows and the SVD of the product of their bases with NumPy, which
is the published algorithm; the peer of RidgeCCA is cca-zoo's with the same regularisation. Both sides of a line solve
the same problem, which is checked: canonical correlations agree to 1e-3, the projections' dimensions are the same.

    python benchmarks/solutions.py [--pairs 20000] [--width 256] [--repeats 3]
"""

from __future__ import annotations

import argparse
import warnings
from typing import Any

import numpy as np
from _table import Row, fastest, installed, missing, show


def data(pairs: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Two sides that share a quarter of their directions; the energy of both lies in a half of them."""
    rng = np.random.default_rng(0)
    shared = width // 4
    common = rng.normal(size=(pairs, shared))
    sides = []
    for number in range(2):
        own = rng.normal(size=(pairs, shared))
        rows = np.zeros((pairs, width))
        rows[:, :shared] = common + 0.3 * rng.normal(size=common.shape)
        rows[:, shared * (1 + number) : shared * (2 + number)] += own
        rows += 0.001 * rng.normal(size=rows.shape)
        sides.append(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    return sides[0], sides[1]


def published(x: np.ndarray, y: np.ndarray, energy: float, tolerance: float) -> np.ndarray:
    """A basis of the shared space from the rows."""
    bases = []
    for rows in (x, y):
        _, values, right = np.linalg.svd(rows, full_matrices=False)
        kept = int(np.searchsorted(np.cumsum(values**2) / np.sum(values**2), energy)) + 1
        bases.append(right[:kept].T)
    left, cosines, _ = np.linalg.svd(bases[0].T @ bases[1], full_matrices=False)
    return bases[0] @ left[:, cosines > 1 - tolerance]


def correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Correlation of each column of a with the same of b."""
    return np.array([abs(np.corrcoef(a[:, i], b[:, i])[0, 1]) for i in range(a.shape[1])])


def rows(pairs: int = 20_000, width: int = 256, repeats: int = 3) -> list[Row]:
    """Time against NumPy and against cca-zoo."""
    from isthmus import IsthmusWarning
    from isthmus.align import RidgeCCA, SharedSpaceProjection

    warnings.simplefilter("ignore", IsthmusWarning)
    x, y = data(pairs, width)
    size = f"{pairs:,} x {width}, rows to maps"

    def projection() -> Any:
        aligner = SharedSpaceProjection(estimator="published").fit(x, y)
        return aligner.matrix_x

    if projection().shape != published(x, y, 0.99, 1e-3).shape:
        raise RuntimeError("the projections keep different numbers of dimensions")
    best = fastest({"ours": projection, "theirs": lambda: published(x, y, 0.99, 1e-3)}, repeats=repeats)
    table = [
        Row(
            f"shared-space projection, {size}", f"{best['ours']:.2f} s", f"NumPy, three SVDs: {best['theirs']:.2f} s",
            best["theirs"] / best["ours"], least=1,
        )
    ]  # fmt: skip
    claim = f"ridge CCA, {size}"
    if installed("cca_zoo.linear") is None:
        return [*table, missing(claim, "cca-zoo RidgeCCA")]
    from cca_zoo.linear import RidgeCCA as Theirs

    # Ours adds lam m to S with m the mean variance of a coordinate; theirs is (1 - c) S + c I.
    shares = [m / (1 + m) for m in (float(np.mean(np.var(side, axis=0))) for side in (x, y))]

    def ours() -> Any:
        return RidgeCCA(lam=1.0, g=0.0, k=10, normalize=False).fit(x, y).map_x_  # solved when it is asked for

    def theirs() -> Any:
        return Theirs(10, shrinkage=shares).fit([x, y])

    found = (
        correlations(*theirs().transform([x, y])),
        correlations(*RidgeCCA(lam=1.0, g=0.0, k=10, normalize=False).fit(x, y).transform(x, y)),
    )
    if np.max(np.abs(found[0] - found[1])) > 1e-3:
        raise RuntimeError(f"the correlations of the canonical variables differ: {found[0]} and {found[1]}")
    best = fastest({"ours": ours, "theirs": theirs}, repeats=repeats)
    table.append(
        Row(
            claim, f"{best['ours']:.2f} s", f"cca-zoo RidgeCCA: {best['theirs']:.2f} s",
            best["theirs"] / best["ours"], least=1,
        )
    )  # fmt: skip
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    show(rows(options.pairs, options.width, options.repeats))


if __name__ == "__main__":
    main()

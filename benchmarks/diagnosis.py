"""Claim: measuring the gap costs little more than one pass over the rows, far less than decomposing the data.

The published way takes the singular value decomposition of both data matrices. scikit-learn's covariance PCA of both
sides with NumPy's product for the cross-covariance is the fair rival: the same three products, no intervals, no nulls,
everything in memory. All of them divide the rows by their norms. Against these: the moments with both spectra, the
principal angles and the shared directions; and `measure` with every measure that needs no rows, intervals and nulls
included. Wall time and CPU time are the least of some rounds in turns; ratios of CPU time barely feel a busy machine.

    python benchmarks/diagnosis.py [--rows 200000] [--long 1000000] [--width 512]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from _table import Row, child, peak_anonymous, show, threads

from isthmus.statistics.moments import moments_of

#: Memory that the neighbours of 20,000 items may take, in MB, rows included.
NEIGHBOURS = 1000.0


def write(folder: Path, rows: int, width: int) -> tuple[str, str]:
    """Two files of correlated anisotropic float32 rows, cones apart."""
    scales = (np.arange(1, width + 1) ** -0.5).astype(np.float32)
    paths = folder / "image.npy", folder / "text.npy"
    outs = [np.lib.format.open_memmap(p, mode="w+", dtype=np.float32, shape=(rows, width)) for p in paths]
    rng = np.random.default_rng(0)
    for start in range(0, rows, 20_000):
        n = min(20_000, rows - start)
        latent = rng.standard_normal((n, width), dtype=np.float32)
        for k, out in enumerate(outs):
            out[start : start + n] = (latent + 0.5 * rng.standard_normal((n, width), dtype=np.float32)) * scales
            out[start : start + n, k] += 1
    for out in outs:
        out.flush()
    return str(paths[0]), str(paths[1])


def spectra(paths: tuple[str, str]) -> Any:
    """Both spectra and bases, the cross-covariance, principal angles and shared directions, from the moments."""
    import isthmus

    pairs = isthmus.open_pairs(*paths)
    return isthmus.measure(pairs, metrics=["rank_99_{side}", "smallest_principal_angle", "shared_directions"])


def fast(paths: tuple[str, str]) -> Any:
    """Every measure that needs no rows."""
    import isthmus

    return isthmus.measure(isthmus.open_pairs(*paths), metrics="fast")


def the_pass(paths: tuple[str, str]) -> Any:
    """The moments alone."""
    import isthmus

    return moments_of(isthmus.open_pairs(*paths))


def covariance_pca(paths: tuple[str, str]) -> Any:
    """scikit-learn's covariance PCA of both sides and NumPy's cross-covariance."""
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import normalize

    sides = [normalize(np.load(path, mmap_mode="r")) for path in paths]
    found = [PCA(svd_solver="covariance_eigh").fit(side) for side in sides]
    n = len(sides[0])
    return found, sides[0].T @ sides[1] / n - np.outer(found[0].mean_, found[1].mean_)


def decompositions(paths: tuple[str, str]) -> Any:
    """The singular value decomposition of both data matrices."""
    from sklearn.preprocessing import normalize

    return [np.linalg.svd(normalize(np.load(path, mmap_mode="r")), full_matrices=False) for path in paths]


WORK = {work.__name__: work for work in (spectra, fast, the_pass, covariance_pca, decompositions)}


def turns(names: list[str], paths: tuple[str, str], repeats: int) -> dict[str, tuple[float, float]]:
    """The least wall and CPU seconds of each, run in turns."""
    best: dict[str, tuple[float, float]] = {}
    for _ in range(repeats):
        for name in names:
            wall, cpu = time.perf_counter(), time.process_time()
            WORK[name](paths)
            found = time.perf_counter() - wall, time.process_time() - cpu
            best[name] = tuple(map(min, best.get(name, found), found))  # type: ignore[assignment]
    return best


def memory(name: str, paths: tuple[str, str]) -> float:
    """The anonymous memory in MB that one of them takes, in this process alone."""
    return peak_anonymous(lambda: WORK[name](paths))


def neighbours(n: int, width: int) -> float:
    """Peak resident memory in MB of this process while it measures the neighbours of `n` items."""
    from isthmus.data.pairs import Pairs
    from isthmus.metrics import MetricContext, _context, evaluate, registry

    _context.MAX_ROW_ITEMS = n
    latent = np.random.default_rng(0).standard_normal((n, width), dtype=np.float32)
    pairs = Pairs(image=latent, text=latent[:, ::-1].copy())
    context = MetricContext(moments_of(pairs), pairs)
    for entry in registry().values():
        if entry.family == "neighbours" and entry.requires == "rows":
            evaluate(entry, context)
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this kernel does not report VmHWM")


#: What the contenders are called in the table.
SPOKEN = {
    "spectra": "moments, spectra, angles",
    "fast": "`measure`, every fast measure",
    "covariance_pca": "scikit-learn PCA x 2, cross product",
    "decompositions": "SVD x 2",
    "the_pass": "the pass alone",
}


def _faster(claim: str, times: Mapping[str, tuple[float, float]], mine: str, peer: str, least: float) -> Row:
    """How many times faster `mine` is than `peer`."""
    return _row(claim, times, mine, peer, (times[peer][k] / times[mine][k] for k in (0, 1)), least=least)


def _dearer(claim: str, times: Mapping[str, tuple[float, float]], mine: str, peer: str, most: float) -> Row:
    """How many times the cost of `peer` `mine` has."""
    return _row(claim, times, mine, peer, (times[mine][k] / times[peer][k] for k in (0, 1)), most=most)


def _row(
    claim: str, times: Mapping[str, tuple[float, float]], mine: str, peer: str, ratios: Iterable[float], **asked: float
) -> Row:
    wall, cpu = ratios
    said = [f"{SPOKEN[name]} {times[name][0]:.2f} s" for name in (mine, peer)]
    return Row(claim, *said, wall, **asked, machine=f"CPU time: {cpu:.2f}")  # type: ignore[misc]


def rows(n: int = 200_000, long: int = 1_000_000, width: int = 512, repeats: int = 3) -> list[Row]:
    """Speed against SVD and covariance PCA, the price of the measures beside the pass, and memory."""
    with tempfile.TemporaryDirectory() as folder:
        paths = write(Path(folder), n, width)
        times = turns(["spectra", "fast", "covariance_pca"], paths, repeats) | turns(["decompositions"], paths, 1)
        held = {name: child("diagnosis", "memory", name, paths) for name in ("fast", "covariance_pca")}
    size = f"{n:,} x {width}"
    found = [
        _faster(f"spectra and angles, {size}", times, "spectra", "decompositions", 10.0),
        _faster(f"every fast measure, {size}", times, "fast", "decompositions", 10.0),
        _dearer(f"spectra and angles, {size}", times, "spectra", "covariance_pca", 1.3),
        _dearer(f"every fast measure, {size}", times, "fast", "covariance_pca", 1.3),
        Row(f"memory of every fast measure, {size}", f"{held['fast']:.0f} MB",
            f"scikit-learn {held['covariance_pca']:.0f} MB", held["fast"] / held["covariance_pca"], most=0.5),
    ]  # fmt: skip
    if long:
        with tempfile.TemporaryDirectory() as folder:
            times = turns(["the_pass", "fast"], write(Path(folder), long, width), 2)
        found.append(_dearer(f"every fast measure, {long:,} x {width}", times, "fast", "the_pass", 1.5))
    held_by = child("diagnosis", "neighbours", 20_000, width)
    found.append(
        Row(f"neighbour measures of 20,000 x {width}", f"{held_by:.0f} MB, rows and program included",
            f"{NEIGHBOURS:.0f} MB allowed", held_by / NEIGHBOURS, most=1.0)
    )  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--long", type=int, default=1_000_000, help="0 leaves the long files out")
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print(f"{threads()} threads")
    show(rows(options.rows, options.long, options.width, options.repeats))


if __name__ == "__main__":
    main()

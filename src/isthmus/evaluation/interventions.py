"""How the gap reaches the task: move the gap and the shared space by doses, and see which of the two a task follows."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isthmus.compute.arrays import to_numpy, unit_rows
from isthmus.data.grouping import item_groups
from isthmus.data.pairs import Pairs
from isthmus.evaluation.comparison import SAMPLE
from isthmus.evaluation.held_out import group_split
from isthmus.linalg.rotations import plane_rotation
from isthmus.metrics import MetricContext
from isthmus.metrics.centroid import gap_angle
from isthmus.statistics.correlation import monotone_share, spearman
from isthmus.statistics.moments import Moments, moments_of
from isthmus.statistics.result import NAN, Estimate
from isthmus.tasks import TaskData, mean_texts, select_tasks
from isthmus.utils.errors import InputError, unknown
from isthmus.utils.files import FORMAT, replacing
from isthmus.utils.version import __version__

#: What each path moves; the doses of each. Dose 0 is the raw space.
PATHS: dict[str, tuple[str, tuple[float, ...]]] = {
    "translate": (
        "both sides move along the line between the means; at 1 the means meet, below 0 the gap widens",
        (-0.5, -0.25, 0.25, 0.5, 0.75, 1.0),
    ),
    "rotate": (
        "x turns in the plane of the two means; at 1 its mean points where that of y points",
        (-0.5, -0.25, 0.25, 0.5, 0.75, 1.0),
    ),
    "collapse": (
        "the shared directions shrink by this share on both sides; at 1 they are gone",
        (0.2, 0.4, 0.6, 0.8, 0.9, 1.0),
    ),
    "purify": (
        "the directions that are not shared shrink by this share on both sides; at 1 they are gone",
        (0.2, 0.4, 0.6, 0.8, 0.9, 1.0),
    ),
}
#: The scores that are followed, and the tasks that they come from.
SCORES = {"R@1": "retrieval", "mixed_NDCG@10": "mixed_search", "zero_shot_accuracy": "zero_shot"}
BOOTSTRAPS = 2000


@dataclass(frozen=True)
class Dose:
    """The test pairs after one dose.

    `gap` is the angle between the means in degrees (NaN where it is undefined), `gap_distance` their distance,
    `alignment` the shared-space alignment in [-1, 1] (see `shared_alignment`), `scores` those of the tasks.
    """

    path: str
    dose: float
    gap: float
    gap_distance: float
    alignment: float
    scores: dict[str, float]


@dataclass(frozen=True)
class DoseResponse:
    """All doses, and for each score how well the gap and the alignment rank it.

    `explained[score]` has Estimates 'gap' and 'alignment' (Spearman's rank correlation over the doses) and 'difference'
    (|alignment| - |gap|), which do not see how far a score moves; and 'gap_curve' and 'alignment_curve' (the share of
    the score's variance over the doses that a monotone curve explains) and 'curve_difference' (alignment minus gap),
    which the verdict goes by. The intervals are percentiles of a bootstrap that draws doses anew within each path: they
    say how much the answer depends on the doses that were chosen, not how sure the scores are. `measure` is what stands
    for the gap: 'gap' (degrees), or 'gap_distance' where the angle is undefined at some dose.
    """

    doses: list[Dose]
    explained: dict[str, dict[str, Estimate]]
    measure: str
    shared: int
    n_fit: int
    n_test: int
    names: tuple[str, str]
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def raw(self) -> Dose:
        """The raw space."""
        return next(d for d in self.doses if d.dose == 0)

    def path(self, name: str) -> list[Dose]:
        """The doses of one path in order, the raw space in its place."""
        if name not in PATHS:
            raise unknown("path", name, PATHS)
        return sorted((d for d in self.doses if d.path == name or d.dose == 0), key=lambda d: d.dose)

    def verdict(self) -> list[str]:
        """One sentence for each score: what explains it better over these doses."""
        sentences = []
        for score, found in self.explained.items():
            difference = found["curve_difference"]
            if not math.isfinite(difference.value) or not math.isfinite(difference.low):
                sentences.append(f"{score} hardly changes over these doses: nothing to explain.")
                continue
            if difference.low > 0:
                head = f"{score} follows the alignment of the shared space more closely than the gap"
            elif difference.high < 0:
                head = f"{score} follows the gap more closely than the alignment of the shared space"
            else:
                head = f"These doses do not tell which of the two {score} follows"
            gap, alignment = (
                f"{100 * found[f'{k}_curve'].value:.0f} % of its variance (rank correlation {_interval(found[k])})"
                for k in ("gap", "alignment")
            )
            curves = f"a monotone curve of the gap explains {gap}, one of the alignment {alignment}"
            sentences.append(f"{head}: {curves}. {self._moves(score)}")
        return sentences

    def _moves(self, score: str) -> str:
        """What the end of each path did to the score, the gap and the alignment."""
        raw, unit = self.raw, " degrees" if self.measure == "gap" else ""
        ends = [self.path(name)[-1] for name in self.settings["paths"]]
        moves = [
            f"{end.path} {end.scores[score] - raw.scores[score]:+.3f} (gap {getattr(end, self.measure):.3g}{unit}, "
            f"alignment {end.alignment:.3f})"
            for end in ends
        ]
        start = f"gap {getattr(raw, self.measure):.3g}{unit}, alignment {raw.alignment:.3f}"
        return f"From {raw.scores[score]:.3f} ({start}) the ends of the paths move it by: {'; '.join(moves)}."

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; absent numbers are None."""
        return {
            "format": FORMAT,
            "kind": "dose response",
            "version": __version__,
            "names": list(self.names),
            "n_fit": self.n_fit,
            "n_test": self.n_test,
            "shared_dimensions": self.shared,
            "gap_measure": self.measure,
            "settings": self.settings,
            "explained": {s: {k: e.to_dict() for k, e in found.items()} for s, found in self.explained.items()},
            "verdict": self.verdict(),
            "doses": [
                {
                    "path": d.path,
                    "dose": d.dose,
                    "gap": None if math.isnan(d.gap) else d.gap,
                    "gap_distance": d.gap_distance,
                    "alignment": d.alignment,
                    **d.scores,
                }
                for d in self.doses
            ],
        }

    def to_json(self) -> str:
        """Valid JSON."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write JSON, or CSV of the doses when `path` ends in .csv."""
        text = self.to_json() + "\n"
        if str(path).lower().endswith(".csv"):
            out = io.StringIO()
            rows = self.to_dict()["doses"]
            writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
            text = out.getvalue()
        with replacing(path) as part:
            part.write_text(text, encoding="utf-8")


def dose_response(
    pairs: Pairs,
    /,
    *,
    paths: Sequence[str] = tuple(PATHS),
    shared: int | None = None,
    rng: int = 0,
    progress: Callable[[int, int, str], None] | None = None,
) -> DoseResponse:
    """Move the gap, and the shared space, by doses, and measure retrieval, mixed search and (with labels) zero-shot
    classification at each.

    Means, planes and the shared space are fitted on one random half of the items, everything is measured on the other;
    rows are unit before and after a dose. `shared` is the number of shared directions; by default those whose
    covariance between partners shows again, beyond two standard errors, in a half of the fitting items that they were
    not taken from. Zero-shot class texts are the mean fitting texts of each class. More than 10,000 items are sampled.
    Errors: `InputError` for an unknown path, for fewer than 40 items, and when no direction is shared.

    >>> import isthmus
    >>> found = dose_response(isthmus.demo.load("collapsed", split="test"), paths=["translate", "collapse"])
    >>> len(found.doses), found.measure
    (13, 'gap')
    """
    for name in paths:
        if name not in PATHS:
            raise unknown("path", name, PATHS)
    if not paths:
        raise InputError(f"no path was named; known: {', '.join(PATHS)}")
    if pairs.n_items < 40:
        raise InputError(f"{pairs.n_items} items are too few to fit a shared space and judge it, expected 40 or more")
    moments_of(pairs)
    pairs = pairs.sample(SAMPLE, rng=rng)
    fitting, testing = (pairs.take(items) for items in group_split(pairs, item_groups(pairs), rng=rng))
    fit_sides, sides = ([to_numpy(s).astype(np.float64) for s in p.unit()] for p in (fitting, testing))
    moments = moments_of(fitting)
    rank = shared_dimensions(fitting, rng=rng) if shared is None else shared
    if not 1 <= rank <= pairs.dim:
        raise InputError(f"shared={shared}, expected 1 to {pairs.dim} directions")
    basis = shared_basis(moments, rank)
    steps = [("raw", 0.0), *((name, dose) for name in paths for dose in PATHS[name][1])]
    names = [s for s, t in SCORES.items() if t != "zero_shot" or pairs.labels is not None]
    doses = []
    for done, (name, dose) in enumerate(steps):
        moved = [_moved(name, dose, rows, moments, basis) for rows in (fit_sides, sides)]
        doses.append(_measured(name, dose, moved, fitting, testing, rank, names, rng))
        if progress is not None:
            progress(done + 1, len(steps), name)
    measure = "gap" if all(math.isfinite(d.gap) for d in doses) else "gap_distance"
    explained = {score: _explained(doses, score, measure, rng) for score in names}
    settings = {"paths": list(paths), "rng": rng}
    return DoseResponse(doses, explained, measure, rank, fitting.n_pairs, testing.n_pairs, pairs.names, settings)


def shared_basis(moments: Moments, rank: int, /) -> np.ndarray:
    """(d, rank): the directions w with the largest w' (S_xy + S_xy') w / 2, S_xy the cross-covariance: those in which
    partners agree as the inner product sees it."""
    cross = to_numpy(moments.cov_xy)
    return np.ascontiguousarray(np.linalg.eigh((cross + cross.T) / 2)[1][:, ::-1][:, :rank])


def shared_alignment(moments: Moments, basis: np.ndarray, /) -> float:
    """Shared-space alignment: tr(W' S_xy W) / sqrt(tr S_x tr S_y), in [-1, 1].

    The covariance between partners inside the shared space W (d, k), relative to the spread of both sides: 1 when the
    centred partners are equal and lie in it. The means do not enter, so moving them alone leaves it as it is.
    """
    inside = float(np.einsum("dk,de,ek->", basis, to_numpy(moments.cov_xy), basis))
    return inside / math.sqrt(float(np.trace(to_numpy(moments.cov_x))) * float(np.trace(to_numpy(moments.cov_y))))


def shared_dimensions(pairs: Pairs, /, *, rng: int = 0) -> int:
    """How many shared directions of one half of `pairs` show again, by more than two standard errors, in the other."""
    first, second = pairs.split_half(rng=rng)
    basis = shared_basis(moments_of(first), min(pairs.dim, first.n_items))
    x, y = (to_numpy(side).astype(np.float64) for side in second.unit())
    owner = np.arange(len(y)) if second.index is None else second.index
    products = ((x - x.mean(axis=0)) @ basis)[owner] * ((y - y.mean(axis=0)) @ basis)
    # The captions of one image are no independent evidence: they are averaged first.
    counts = np.bincount(owner, minlength=len(x))
    sums = np.zeros((len(x), basis.shape[1]))
    np.add.at(sums, owner, products)
    by_item = sums[counts > 0] / counts[counts > 0, None]
    error = by_item.std(axis=0, ddof=1) / math.sqrt(len(by_item))
    found = int(np.count_nonzero(by_item.mean(axis=0) > 2 * error))
    if found == 0:
        raise InputError("no shared direction: partners do not covary in any direction that shows again on other pairs")
    return found


def _moved(path: str, dose: float, sides: list[np.ndarray], moments: Moments, basis: np.ndarray) -> list[np.ndarray]:
    """Both sides after the dose, rows unit."""
    x, y = sides
    mean_x, mean_y = to_numpy(moments.mean_x), to_numpy(moments.mean_y)
    if path == "translate":
        step = dose * (mean_y - mean_x) / 2
        x, y = x + step, y - step
    elif path == "rotate":
        x = x @ _part_rotation(mean_x, mean_y, dose).T
    elif path in ("collapse", "purify"):
        x, y = (_shrunk(side, mean, basis, dose, path) for side, mean in ((x, mean_x), (y, mean_y)))
    return [unit_rows(side) for side in (x, y)]


def _shrunk(rows: np.ndarray, mean: np.ndarray, basis: np.ndarray, dose: float, path: str) -> np.ndarray:
    centred = rows - mean
    inside = (centred @ basis) @ basis.T
    return rows - dose * (inside if path == "collapse" else centred - inside)


def _part_rotation(u: np.ndarray, v: np.ndarray, part: float) -> np.ndarray:
    """The rotation in the plane of u and v by `part` of the angle from u to v, (d, d)."""
    u, v = u / np.linalg.norm(u), v / np.linalg.norm(v)
    angle = part * 2 * math.atan2(float(np.linalg.norm(u - v)), float(np.linalg.norm(u + v)))
    across = v - (u @ v) * u
    length = float(np.linalg.norm(across))
    if length == 0:
        return np.eye(len(u))
    target = math.cos(angle) * u + math.sin(angle) * across / length
    return np.asarray(plane_rotation(u, target).matrix())


def _measured(
    path: str,
    dose: float,
    moved: list[list[np.ndarray]],
    fitting: Pairs,
    testing: Pairs,
    rank: int,
    names: list[str],
    rng: int,
) -> Dose:
    (fit_x, fit_y), (x, y) = moved
    # The shared space is found anew at each dose, on the fitting rows, so that it turns with the data.
    basis = shared_basis(Moments.of(fit_x, fit_y, index=fitting.index, normalize=False), rank)
    moments = Moments.of(x, y, index=testing.index, normalize=False)
    gap = gap_angle(MetricContext(moments, names=testing.names))
    owner = np.arange(len(y)) if testing.index is None else testing.index
    classes: tuple[Any, Any] = (None, None)
    if "zero_shot_accuracy" in names:
        fit_owner = np.arange(len(fit_y)) if fitting.index is None else fitting.index
        classes = mean_texts(fit_y, fit_owner, fitting.labels)
    narrow = [side.astype(np.float32) for side in (x, y)]
    rows = TaskData(
        narrow[0],
        narrow[1],
        owner,
        testing.labels,
        class_names=classes[0],
        class_texts=classes[1],
        seed=rng,
    )
    scores: dict[str, float] = {}
    for task in select_tasks([SCORES[name] for name in names]):
        scores |= task.run(rows).scores()
    return Dose(
        path,
        dose,
        NAN if gap.undefined else gap.value,
        float(np.linalg.norm(moments.mean_x - moments.mean_y)),
        shared_alignment(moments, basis),
        {name: scores[name] for name in names},
    )


def _explained(doses: list[Dose], score: str, measure: str, rng: int) -> dict[str, Estimate]:
    """Spearman's correlation of the score with the gap and with the alignment, and the difference of their sizes."""
    table = np.array([[getattr(d, measure), d.alignment, d.scores[score]] for d in doses])
    paths = np.array([d.path for d in doses])
    generator = np.random.default_rng(rng)
    draws = np.array([_statistics(table[_redrawn(paths, generator)]) for _ in range(BOOTSTRAPS)])
    value = _statistics(table)
    found = {}
    names = ("gap", "alignment", "difference", "gap_curve", "alignment_curve", "curve_difference")
    for column, name in enumerate(names):
        kept = draws[:, column][np.isfinite(draws[:, column])]
        enough = len(kept) > BOOTSTRAPS // 2 and math.isfinite(value[column])
        low, high = np.quantile(kept, [0.025, 0.975]) if enough else (NAN, NAN)
        unit = "share of variance" if "curve" in name else "rank correlation"
        found[name] = Estimate(float(value[column]), float(low), float(high), unit=unit)
    return found


def _redrawn(paths: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Numbers of the doses, drawn with replacement within each path."""
    return np.concatenate([generator.choice(np.flatnonzero(paths == p), np.sum(paths == p)) for p in np.unique(paths)])


def _statistics(table: np.ndarray) -> tuple[float, ...]:
    gap, alignment = (spearman(table[:, column], table[:, 2]) for column in (0, 1))
    curves = [monotone_share(table[:, column], table[:, 2]) for column in (0, 1)]
    return gap, alignment, abs(alignment) - abs(gap), curves[0], curves[1], curves[1] - curves[0]


def _interval(e: Estimate) -> str:
    return f"{e.value:+.2f}, {e.low:+.2f} to {e.high:+.2f}"

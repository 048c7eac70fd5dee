"""Rows that do not match, found in simulated and real files, and files of which all rows match."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from broken_pairs import (
    class_sorted_pairs,
    clip_like_rows,
    out_of_order,
    pairs_of_quality,
    pairs_sorted_by_length,
    source,
)
from isthmus.statistics.expected_ranks import RankModel
from isthmus.statistics.learned_ranks import learned_ranks
from isthmus.statistics.pairing import looks_paired
from isthmus.statistics.pairing_ranges import find_breaks
from isthmus.statistics.row_samples import RowSample, local_ranks


def test_find_breaks_of_equal_class_texts_is_empty(rng: np.random.Generator) -> None:
    """Captions in the first half, and one text for each class in the sorted second half."""
    x, y = clip_like_rows(rng, 400, 48)
    y[200:] = np.repeat(y[200::50], 50, axis=0)
    x[200:] = y[200:] + rng.normal(size=(200, 48))
    assert find_breaks(source(x), source(y)) == ()


def test_find_breaks_names_a_block_between_weak_matches() -> None:
    """R@1 is 1 %."""
    found = 0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        x, y = pairs_of_quality(rng, 1000, 3.0)
        breaks = find_breaks(source(x), source(out_of_order(y, 400, 500, rng)))
        found += len(breaks) == 1 and max(abs(breaks[0].start - 400), abs(breaks[0].stop - 500)) <= 20
    assert found == 5


def test_find_breaks_where_quality_falls_along_the_file_names_the_block(rng: np.random.Generator) -> None:
    x, y = pairs_of_quality(rng, 1000, np.linspace(0.3, 6, 1000)[:, None])
    assert find_breaks(source(x), source(y)) == ()
    breaks = find_breaks(source(x), source(out_of_order(y, 300, 400, rng)))
    assert [(b.start, b.stop) for b in breaks] == [(pytest.approx(300, abs=20), pytest.approx(400, abs=20))]


def test_learned_ranks_of_rows_in_random_order_have_mean_zero(rng: np.random.Generator) -> None:
    means = []
    for _ in range(10):
        x, y = (rows - rows.mean(axis=0) for rows in pairs_of_quality(rng, 640, 2.5))
        sample = RowSample(x, rng.permutation(y), np.arange(640))
        means.append(learned_ranks(sample, np.full(640, -1.0)).mean())
    assert abs(np.mean(means)) < 0.04  # one has a standard error of 0.023, and is the higher one of two


def test_find_breaks_of_classes_that_hardly_match_is_empty() -> None:
    """These files have a class without a clear match that stands out from the classes beside it."""
    for seed in (2, 46, 50, 57, 73):
        x, y = class_sorted_pairs(np.random.default_rng(seed), 1000, "class hardly matches")
        assert find_breaks(source(x), source(y)) == ()


def test_find_breaks_of_texts_that_say_little_of_a_class_is_empty() -> None:
    """The texts of a fifth of the classes have nothing in common with their item but the class."""
    for seed in (4, 19, 24, 26):
        rng = np.random.default_rng(seed)
        basis, labels = rng.normal(size=(12, 64)) / 8, np.sort(rng.integers(0, 20, 1000))
        share = np.where(rng.random(20) < 0.2, rng.uniform(0, 0.3, 20), 1.0)[labels][:, None]
        content = 1.5 * rng.normal(size=(20, 12))[labels]
        item = rng.normal(size=(2, 1000, 12))[0]
        x, y = ((content + part * item) @ basis * 0.29 + rng.normal(size=(1000, 64)) / 8 for part in (1.0, share))
        assert find_breaks(source(x), source(y)) == ()


def test_find_breaks_where_the_quality_of_classes_differs_names_the_block() -> None:
    """The block lies beside a class of other quality, whose ranks hide its ends or look like a fall towards it."""
    for seed in (31, 35, 41, 60, 68):
        rng = np.random.default_rng(seed)
        x, y = class_sorted_pairs(rng, 1000, "class quality")
        start = int(rng.integers(0, 900))
        breaks = find_breaks(source(x), source(out_of_order(y, start, start + 100, rng)))
        assert [(b.start, b.stop) for b in breaks] == [
            (pytest.approx(start, abs=20), pytest.approx(start + 100, abs=20))
        ]


def test_rank_model_expects_the_level_of_noisy_rows_from_their_variances() -> None:
    rng = np.random.default_rng(3)
    noise = np.where((np.arange(800) // 100) % 2, 3.0, 0.5)[:, None]
    x, y = (rows - rows.mean(axis=0) for rows in pairs_of_quality(rng, 800, noise))
    sample = RowSample(x, y, np.arange(800))
    ranks = local_ranks(sample)
    shuffled = RowSample(x, out_of_order(y, 300, 400, rng), np.arange(800))
    for rows in (sample, shuffled):
        levels, margin = RankModel(rows, local_ranks(rows)).fit(300, 400)  # type: ignore[misc]
        assert levels[316:384].mean() == pytest.approx(ranks[316:384].mean(), abs=0.1)
        assert 0 <= margin < 0.15
        assert levels[416:484].mean() == pytest.approx(ranks[416:484].mean(), abs=0.05)
    assert RankModel(sample, ranks).fit(0, 700) is None


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "n", "files", "least"), [
    ("plain", 1000, 40, 39), ("class", 1000, 40, 38), ("length", 1000, 40, 37), ("weak", 1000, 40, 38),
    ("falling", 1000, 60, 44), ("falling", 2500, 20, 18), ("class quality", 1000, 60, 57),
])  # fmt: skip
def test_find_breaks_names_a_tenth_out_of_order(kind: str, n: int, files: int, least: int) -> None:
    """The ends are within 2 % of n. Either side is out of order."""
    found = 0
    for seed in range(files):
        rng = np.random.default_rng(seed)
        noise = {"plain": 0.6, "weak": 2.5, "falling": np.linspace(0.3, 6, n)[:, None]}.get(kind)
        if noise is not None:
            x, y = pairs_of_quality(rng, n, noise)
        else:
            x, y = pairs_sorted_by_length(rng, n) if kind == "length" else class_sorted_pairs(rng, n, kind)
        start = int(rng.integers(0, n - n // 10))
        stop = start + n // 10
        sources = [source(x), source(out_of_order(y, start, stop, rng))]
        breaks = find_breaks(*sources[:: 1 if seed % 2 else -1])
        found += len(breaks) == 1 and max(abs(breaks[0].start - start), abs(breaks[0].stop - stop)) <= n // 50
    assert found >= least


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        "class",
        "class only",
        "class quality",
        "class hardly matches",
        "quality",
        "own cosine",
        "weak",
        "weaker",
        "length",
        "length downwards",
    ],
)
def test_find_breaks_of_matching_rows_is_empty_in_99_percent(kind: str) -> None:
    n, alarms = 1000, 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        if kind.startswith("class"):
            x, y = class_sorted_pairs(rng, n, kind)
        elif kind.startswith("length"):
            step = -1 if "downwards" in kind else 1
            x, y = (rows[::step] for rows in pairs_sorted_by_length(rng, n))
        elif kind == "quality":
            x, y = pairs_of_quality(rng, n, np.linspace(0.3, 6, n)[:, None])
        else:
            x, y = pairs_of_quality(rng, n, {"own cosine": 1.5, "weak": 2.5, "weaker": 4.0}[kind])
        if kind == "own cosine":
            unit_x, unit_y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x, y))
            order = np.argsort(np.sum(unit_x * unit_y, axis=1))
            x, y = x[order], y[order]
        alarms += bool(find_breaks(source(x), source(y)))
    assert alarms <= 1


@pytest.mark.slow
def test_find_breaks_of_clip_coco_names_a_tenth_out_of_order(real: Callable[[str], Path]) -> None:
    x, y = (np.load(real(f"clip_coco/{name}.npy")) for name in ("image", "text"))
    found = alarms = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        order = rng.permutation(500)
        start = int(rng.integers(0, 450))
        breaks = find_breaks(source(x[order]), source(out_of_order(y[order], start, start + 50, rng)))
        found += len(breaks) == 1 and max(abs(breaks[0].start - start), abs(breaks[0].stop - start - 50)) <= 10
        alarms += bool(find_breaks(source(x[order]), source(y[order])))
    assert found >= 38
    assert alarms == 0


@pytest.mark.parametrize(("start", "stop"), [(0, 300), (400, 700), (900, 1200)])
def test_a_range_with_changed_signs_points_away_from_its_matches(
    start: int, stop: int, rng: np.random.Generator
) -> None:
    x, y = clip_like_rows(rng, 1200, 48)
    y[start:stop] *= -1
    pairing = looks_paired(source(x), source(y))
    (entry,) = pairing.breaks
    assert (entry.start, entry.stop) == (pytest.approx(start, abs=3), pytest.approx(stop, abs=3))
    assert entry.is_negated
    assert not entry.matches_as_group
    assert "point away from their matches (mean cosine -0." in pairing.reason
    assert pairing.reason.endswith("; multiply these rows of one file by -1")

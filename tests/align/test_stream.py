"""Streams of pairs: items that continue in the next block, and rows that come back later."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus.align import Centering, ScoreCalibration
from isthmus.data.row_history import RowHistory

N_ITEMS, TIMES, WIDTH = 80, 5, 6


def flat_export(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return rows that repeat five times, beside distinct ones."""
    rows = rng.normal(size=(N_ITEMS, WIDTH)) + 1
    repeated = np.repeat(rows, TIMES, axis=0)
    return repeated, 0.6 * repeated + rng.normal(size=repeated.shape) - 1


def stream_of(aligner: isthmus.align.Aligner, x: np.ndarray, y: np.ndarray, size: int) -> list[str]:
    """Fit an aligner block by block from one buffer, and return the warnings about rows of earlier blocks."""
    buffer_x, buffer_y = np.empty((2, size, WIDTH))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for start in range(0, len(x), size):
            count = min(size, len(x) - start)
            buffer_x[:count], buffer_y[:count] = x[start : start + count], y[start : start + count]
            aligner.partial_fit(buffer_x[:count], buffer_y[:count])
    return [str(w.message) for w in caught if "earlier block" in str(w.message)]


@pytest.mark.parametrize("size", [100, 7])
@pytest.mark.parametrize("aligner_class", [Centering, ScoreCalibration])
def test_equal_rows_of_a_stream_are_stated_once_and_without_intervals(
    aligner_class: type[isthmus.align.Aligner], size: int, rng: np.random.Generator
) -> None:
    x, y = flat_export(rng)
    aligner = aligner_class()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for start in range(0, len(x), size):
            aligner.partial_fit(x[start : start + size], y[start : start + size])
    stated = [str(w.message) for w in caught if "are distinct" in str(w.message)]
    distinct = len(range(0, size, TIMES))
    assert stated == [
        f"{distinct} of {size} x rows are distinct in this block: in all blocks, equal rows count as one x with "
        "several matches"
    ]


@pytest.mark.filterwarnings("ignore:80 of 400")
@pytest.mark.parametrize("size", [200, 130, 58, 7, 3, 2])
@pytest.mark.parametrize("swapped", [False, True])
def test_items_that_continue_in_the_next_block_stay_one_item(
    size: int, swapped: bool, rng: np.random.Generator
) -> None:
    x, y = flat_export(rng)[:: -1 if swapped else 1]
    aligner = Centering()
    assert stream_of(aligner, x, y, size) == []
    assert "repeated_rows" not in aligner.fit_info_
    streamed, at_once = aligner.moments_.by_item, Centering().fit(x, y).moments_.by_item
    counts = ("n_items", "count_sq", "n_x", "n_y")
    assert [getattr(streamed, name) for name in counts] == [getattr(at_once, name) for name in counts]
    np.testing.assert_allclose(streamed.xy, at_once.xy, atol=1e-10)


@pytest.mark.filterwarnings("ignore:80 of 400")
@pytest.mark.parametrize("size", [200, 130, 58, 8, 3, 2])
@pytest.mark.parametrize("swapped", [False, True])
def test_bank_of_a_stream_equals_that_of_all_pairs_at_once(size: int, swapped: bool, rng: np.random.Generator) -> None:
    x, y = flat_export(rng)[:: -1 if swapped else 1]
    streamed, at_once = ScoreCalibration(), ScoreCalibration().fit(x, y)
    stream_of(streamed, x, y, size)
    assert streamed._banks.keys() == at_once._banks.keys() != set()
    for number, bank in at_once._banks.items():
        np.testing.assert_allclose(streamed._banks[number].rows, bank.rows, atol=1e-12)
        assert np.array_equal(streamed._banks[number].items, bank.items)


@pytest.mark.parametrize("aligner", [Centering(), ScoreCalibration()])
@pytest.mark.parametrize("paired", [True, False])
def test_stream_takes_a_last_block_of_one_row(
    aligner: isthmus.align.Aligner, paired: bool, rng: np.random.Generator
) -> None:
    x = rng.normal(size=(41, WIDTH)) + 1
    y = x + rng.normal(size=x.shape) - 2
    streamed, at_once = type(aligner)(), type(aligner)().fit(x, y, paired=paired)
    for start in range(0, 41, 8):
        streamed.partial_fit(x[start : start + 8], y[start : start + 8], paired=paired)
    for name in ("mean_x", "mean_y", "cov_x"):
        np.testing.assert_allclose(getattr(streamed.statistics_, name), getattr(at_once.statistics_, name), atol=1e-12)
    first = type(aligner)().partial_fit(x[:1], y[:1], paired=paired)
    with pytest.raises(isthmus.InputError, match="got one row of a modality so far, expected two or more"):
        _ = first.fit_info_
    with pytest.raises(isthmus.InputError, match="has one row"):
        first.fit(x[:1], y[:1], paired=paired)


@pytest.mark.parametrize("aligner", [Centering(), ScoreCalibration()])
def test_rows_that_come_back_in_a_later_block_are_reported_once_and_counted(
    aligner: isthmus.align.Aligner, rng: np.random.Generator, tmp_path: Path
) -> None:
    x, y = flat_export(rng)
    order = rng.permutation(len(x))
    messages = stream_of(aligner, x[order], y[order], 100)
    came_before = [np.isin(owner, (order // TIMES)[:start]).sum()
                   for start in (100, 200, 300) for owner in [(order // TIMES)[start : start + 100]]]  # fmt: skip
    assert len(messages) == 1
    assert messages[0].startswith(f"{came_before[0]} of 100 x rows of this block came in an earlier block and count as")
    difference = abs(aligner.fit_info_["repeated_rows"]["x"] - sum(came_before))
    assert difference <= 3 * TIMES  # rows of an item that continues are not counted
    aligner.save(tmp_path / "aligner.isthmus")
    assert isthmus.load(tmp_path / "aligner.isthmus").fit_info_["repeated_rows"] == aligner.fit_info_["repeated_rows"]


def test_fit_after_a_stream_forgets_its_rows(rng: np.random.Generator) -> None:
    x = rng.normal(size=(60, WIDTH))
    y = x + rng.normal(size=(60, WIDTH))
    aligner = Centering().partial_fit(x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        aligner.fit(x, y).fit(x, y)
    with pytest.warns(isthmus.IsthmusWarning, match="60 of 60 image rows and 60 of 60 text rows of this block came in"):
        Centering().partial_fit(x, y, names=("image", "text")).partial_fit(
            np.roll(x, 30, axis=0), np.roll(y, 30, axis=0)
        )


def test_row_history_of_many_rows_estimates_the_count(rng: np.random.Generator) -> None:
    history = RowHistory(limit=1000)
    hashes = rng.integers(0, 2**64, size=20_000, dtype=np.uint64)
    assert history.add(hashes) == 0
    assert not history.is_exact
    assert len(history._hashes) <= 1000
    assert history.add(hashes[:10_000]) == pytest.approx(10_000, rel=0.2)
    assert history.add(rng.integers(0, 2**64, size=20_000, dtype=np.uint64)) == 0

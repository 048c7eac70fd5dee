"""Near copies are found whatever their number and place, and ordinary, low-dimensional and equal rows are none."""

import numpy as np
import pytest

import isthmus
from broken_pairs import source
from isthmus.statistics.near_copies import NEAR_COPIES, count_near_copies
from isthmus.statistics.pairing import judge_pairing, looks_paired

RNG = np.random.default_rng(0)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def videos(n=60, frames=8, *, noise=0.02, dim=48, seed=0):
    """Frames of videos and their captions, of which frames nearly repeat."""
    rng = np.random.default_rng(seed)
    shared, own = rng.normal(size=(2, n, dim))
    image = np.repeat(shared + 2, frames, axis=0) + noise * rng.normal(size=(n * frames, dim))
    text = np.repeat(shared + 0.5 * own - 2, frames, axis=0) + rng.normal(size=(n * frames, dim))
    return unit(image), unit(text), np.repeat(np.arange(n), frames)


@pytest.mark.parametrize("noise", [1e-5, 1e-3, 0.02, 0.05])
def test_copies_with_noise_of_any_small_size_are_counted(noise):
    image, text, _ = videos(noise=noise)
    assert count_near_copies(image, len(image)) == pytest.approx(7, abs=0.05)
    assert count_near_copies(text, len(text)) == 0


def test_the_number_of_copies_is_that_of_all_rows_and_not_of_the_sample():
    image = videos(n=200)[0]
    sample = image[np.random.default_rng(1).choice(len(image), 400, replace=False)]
    assert count_near_copies(sample, len(image)) == pytest.approx(7, rel=0.15)


@pytest.mark.parametrize(("rank", "offset"), [(1, 10.0), (2, 0.0), (2, 10.0), (3, 0.0), (5, 10.0), (48, 0.0)])
def test_rows_of_any_dimension_and_cone_have_no_near_copies(rank, offset):
    rows = RNG.normal(size=(1000, rank)) @ RNG.normal(size=(rank, 48)) + offset
    assert count_near_copies(unit(rows + 1e-3 * RNG.normal(size=rows.shape)), 1000) == 0


def test_equal_rows_and_a_few_copies_are_no_near_copies():
    rows = unit(RNG.normal(size=(300, 48)))
    assert count_near_copies(np.repeat(rows, 2, axis=0), 600) == 0
    few = np.concatenate([rows, rows[:9] + 1e-4])
    assert count_near_copies(few, len(few)) == 0
    assert count_near_copies(np.ones((50, 8)), 50) == 0


def test_sets_without_pairs_state_near_copies_of_either_side_and_rows_of_both():
    image, text, _ = videos()
    for x, y, name in ((image, text, "x"), (text, image, "y")):
        (entry,) = isthmus.measure(x, y[:300], unpaired=True, metrics="centroid_angle").pairs["degenerate"]
        assert (entry["kind"], entry["modalities"]) == (NEAR_COPIES, [name])
        assert "recall" not in entry["message"]
        assert "near copies" in isthmus.explain(x, y[:300], unpaired=True).verdict[0]
    (entry,) = isthmus.measure(text, text[::2], unpaired=True, metrics="centroid_angle").pairs["degenerate"]
    assert (entry["kind"], entry["message"]) == (
        "common rows",
        "all 240 rows of y are also rows of x, so that the two sets are not independent",
    )


def test_measure_explain_compare_and_fit_name_near_copies_and_a_key_groups_them():
    image, text, ids = videos()
    result = isthmus.measure(image, text, metrics="centroid_angle")
    (entry,) = result.pairs["degenerate"]
    assert (entry["kind"], entry["modalities"]) == (NEAR_COPIES, ["x"])
    assert "--key" in entry["message"]
    assert "near copies" in isthmus.explain(image, text).verdict[0]
    with pytest.warns(isthmus.IsthmusWarning, match="near copies"):
        isthmus.compare(image, text, aligners="Centering", tasks="retrieval", splits=1)
    with pytest.warns(isthmus.IsthmusWarning, match="near copies"):
        isthmus.align.Centering().fit(image, text)
    with pytest.warns(isthmus.IsthmusWarning, match="repeat in both"):
        pairs = isthmus.open_pairs(image, text, key=(ids, ids))
    assert not judge_pairing(pairs).degenerate
    grouped = isthmus.measure(pairs, metrics="centroid_angle")["centroid_angle"]
    assert grouped.high - grouped.low > 1.5 * (result["centroid_angle"].high - result["centroid_angle"].low)


def test_near_copies_of_files_of_unequal_length_are_named():
    image, text, _ = videos()
    assert [entry.kind for entry in looks_paired(source(image), source(text[:100])).degenerate] == [NEAR_COPIES]
    assert looks_paired(source(text), source(text[:100])).degenerate == ()
    (entry,) = looks_paired(source(text[:100]), source(image), names=("text", "image")).degenerate
    assert entry.message.startswith("a row of image has 7.0 near copies on average")
    assert entry.message.endswith("keep one row of each item")

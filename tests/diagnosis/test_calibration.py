"""Calibration of the cosine against counts over all pairs of rows."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

import isthmus
from isthmus import InputError, IsthmusWarning, Pairs
from isthmus.compute.arrays import unit_rows
from isthmus.diagnosis import Calibration, calibrate
from isthmus.diagnosis.calibration import BINS


def draw(n: int, rng: np.random.Generator, d: int = 8) -> Pairs:
    u = rng.normal(size=(n, d))
    return Pairs(image=u + 0.5 * rng.normal(size=(n, d)), text=u + 0.5 * rng.normal(size=(n, d)))


@pytest.fixture
def pairs(rng: np.random.Generator) -> Pairs:
    return draw(150, rng)


def cosines(pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    x, y = pairs.unit()
    scores = x @ y.T
    return np.diag(scores), scores[~np.eye(len(x), dtype=bool)]


@pytest.mark.parametrize("cosine", [-0.5, 0.0, 0.25, 0.8])
def test_percentiles_equal_those_of_all_pairs(pairs: Pairs, cosine: float) -> None:
    matching, non_matching = cosines(pairs)
    x, y = pairs.unit()
    off = ~np.eye(150, dtype=bool)
    slow = {
        "matching": matching,
        "non_matching": non_matching,
        "within image": (x @ x.T)[off],
        "within text": (y @ y.T)[off],
    }
    for name, value in calibrate(pairs).percentiles(cosine).items():
        assert value == pytest.approx(np.mean(slow[name] < cosine), abs=0.004)


@pytest.mark.parametrize("precision", [0.3, 0.6, 0.9])
def test_threshold_is_the_smallest_with_the_precision(pairs: Pairs, precision: float) -> None:
    matching, non_matching = cosines(pairs)
    share = 0.05
    slow = np.inf
    for t in np.sort(np.r_[matching, non_matching])[::-1]:
        true, false = share * np.mean(matching >= t), (1 - share) * np.mean(non_matching >= t)
        if true > 0 and true / (true + false) >= precision:
            slow = t
    threshold = calibrate(pairs).threshold(precision, prevalence=share)
    assert threshold.value == pytest.approx(slow, abs=3 * 2 / BINS)


def test_prevalence_default_is_one_match_among_the_items(pairs: Pairs) -> None:
    c = calibrate(pairs)
    assert c.threshold(0.5).value == c.threshold(0.5, prevalence=1 / 150).value
    assert c.probability(0.9) == pytest.approx(c.probability(0.9, prevalence=1 / 150))


def test_probability_follows_bayes_rule(rng: np.random.Generator) -> None:
    c = calibrate(draw(3000, rng))
    matching, non_matching = cosines(draw(3000, rng))
    near = [np.mean(np.abs(values - 0.75) < 0.02) for values in (matching, non_matching)]
    assert c.likelihood_ratio(0.75) == pytest.approx(near[0] / near[1], rel=0.15)
    ratio = c.likelihood_ratio(0.6)
    assert c.probability(0.6, prevalence=0.1) == pytest.approx(0.1 * ratio / (0.1 * ratio + 0.9))


@pytest.mark.slow
def test_threshold_intervals_cover() -> None:
    rng = np.random.default_rng(3)
    big = [calibrate(draw(4000, rng)) for _ in range(3)]
    whole = Calibration(
        ("image", "text"), 4000, 4000, sum(b.matching for b in big), sum(b.non_matching for b in big), big[0].within
    )
    truth = {p: whole.threshold(p, prevalence=0.05).value for p in (0.1, 0.5, 0.9)}
    covered = {p: 0 for p in truth}
    for _ in range(100):
        c = calibrate(draw(400, rng))
        for p, value in truth.items():
            threshold = c.threshold(p, prevalence=0.05)
            covered[p] += threshold.low <= value <= threshold.high
    assert min(covered.values()) >= 90
    # Ten groups: Student's interval is wide, and all hundred cover only by luck.
    assert sum(covered.values()) < 300


@pytest.mark.filterwarnings("ignore:.*distinct")
@pytest.mark.parametrize("repeated", ["image", "text"])
def test_every_pair_of_a_repeated_row_is_a_matching_pair(repeated: str, rng: np.random.Generator) -> None:
    rows = np.repeat(rng.normal(size=(60, 16)), 5, axis=0)
    other = rows + np.tile([0.2, 1.0, 1.0, 2.0, 2.0], 60)[:, None] * rng.normal(
        size=rows.shape
    )  # the first one is best
    x, y = (rows, other) if repeated == "image" else (other, rows)
    calibration = calibrate(x, y)
    mean = isthmus.measure(x, y, metrics="mean_paired_cosine")["mean_paired_cosine"].value
    centres = (np.arange(BINS) + 0.5) * 2 / BINS - 1
    assert (calibration.sampled, calibration.matching.sum(), calibration.non_matching.sum()) == (60, 300, 60 * 59)
    assert centres @ calibration.matching.sum(axis=0) / 300 == pytest.approx(mean, abs=1e-4)
    assert {int(counts) % 5 for counts in calibration.matching.sum(axis=1)} == {0}  # all pairs of an item in one group


def test_threshold_of_few_pairs_has_no_interval(pairs: Pairs) -> None:
    threshold = calibrate(pairs).threshold(0.99)
    assert np.isnan(threshold.low)
    assert "0 non-matching pairs reach it here" in threshold.definition
    assert threshold.note.endswith("non-matching pairs reach it, and 20 and 10 are needed")
    one = calibrate(Pairs(image=np.eye(25), text=np.diag([1.0] + [-1.0] * 24)))
    assert one.threshold_sentences()[3] == (
        "A precision of 99 % cannot be judged on these pairs: the threshold would rest on 1 matching pair, "
        "and 20 are needed."
    )


def test_threshold_of_an_unreached_precision_is_undefined(rng: np.random.Generator) -> None:
    x, y = unit_rows(rng.normal(size=(2 * 100, 6))).reshape(2, 100, 6)
    x[0], y[1] = y[0], y[0]  # the highest cosine is that of a non-matching pair
    threshold = calibrate(Pairs(image=x, text=y), group=False).threshold(0.99)
    assert threshold.undefined == "no cosine of these data has a precision of 0.99 at a prevalence of 0.01"


def test_calibrate_uses_the_first_match_and_a_seeded_sample(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = draw(60, rng)
    x, y = pairs.unit()
    double = calibrate(Pairs(image=x, text=np.repeat(y, 2, axis=0), index=np.repeat(np.arange(60), 2)))
    np.testing.assert_array_equal(double.non_matching, calibrate(pairs).non_matching)
    monkeypatch.setattr("isthmus.diagnosis.cosine_histograms.MAX_ITEMS", 40)
    part = calibrate(pairs)
    assert (part.items, part.sampled, part.matching.sum()) == (60, 40, 40)
    np.testing.assert_array_equal(part.non_matching, calibrate(pairs).non_matching)  # seeded


def test_matched_quantile_has_the_same_percentile_within(pairs: Pairs) -> None:
    calibration = isthmus.calibrate(pairs)
    asked = 0.6
    share = calibration.percentiles(asked)["non_matching"]
    x, y = (np.asarray(side) for side in pairs.unit())
    for name, side in zip(pairs.names, (x, y), strict=True):
        inside = np.sort((side @ side.T)[~np.eye(len(side), dtype=bool)])
        expected = np.quantile(inside, share)
        assert calibration.matched_quantile(asked)[name] == pytest.approx(expected, abs=1e-3), name
    assert all(np.isnan(v) for v in calibration.matched_quantile(-1.0).values())


@pytest.mark.filterwarnings("ignore:The rows of")
def test_sentences_of_a_narrow_cone_name_no_cosine_that_the_bins_do_not_resolve(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 100, 16))
    for spread, is_named in ((1e-3, False), (0.02, True)):
        sentences = calibrate(Pairs(image=np.eye(16)[0] + spread * x, text=np.eye(16)[1] + spread * y)).sentences(0.0)
        named = [sentence for sentence in sentences if "is the share above" in sentence]
        assert bool(named) is is_named
        assert all("above 1.00 " not in sentence for sentence in named)


def test_sentences_name_the_pairs_near_the_cosine(pairs: Pairs) -> None:
    c = calibrate(pairs)
    assert "times that of non-matching pairs" in c.sentences(0.6)[3]
    assert c.sentences(-0.9)[3] in (
        "Only non-matching pairs have a cosine near this one here.",
        "No pair here, matching or not, has a cosine near this one."
    )  # fmt: skip
    with pytest.warns(IsthmusWarning, match="Every row of image is the same as its matching row of text"):
        assert "Only matching pairs" in calibrate(Pairs(image=np.eye(25), text=np.eye(25))).sentences(1.0)[2]
    json.dumps(c.to_dict(0.6), allow_nan=False)
    json.dumps(c.to_dict(-0.9), allow_nan=False)


def test_calibrate_of_invalid_input_is_an_error(pairs: Pairs, rng: np.random.Generator) -> None:
    c = calibrate(pairs)
    with pytest.raises(InputError, match=r"cosine=1\.2, expected a number between -1 and 1"):
        c.percentiles(1.2)
    with pytest.raises(InputError, match=r"precision=1, expected a share"):
        c.threshold(1)
    with pytest.raises(InputError, match=r"prevalence=0, expected a share"):
        c.probability(0.5, prevalence=0)
    with pytest.raises(InputError, match="19 items are too few"):
        calibrate(draw(19, rng))
    with pytest.raises(InputError, match="image: a row has length .*, expected unit rows"):
        calibrate(draw(30, rng), normalize=False)


def test_calibrate_is_public() -> None:
    assert isthmus.calibrate is calibrate


def test_calibrate_of_texts_that_connect_all_images_counts_no_match_among_other_pairs() -> None:
    image = np.eye(40)
    text = image + np.roll(image, 1, axis=0)  # text i belongs to images i and i - 1
    index = np.repeat(np.arange(40), 2)
    numbers = (index + np.tile([0, 1], 40)) % 40
    pairs = isthmus.Pairs(image=image, text=text[numbers], index=index, y_groups=numbers)
    with pytest.warns(IsthmusWarning, match="have the same cosine"):
        calibration = isthmus.calibrate(pairs)
    across = calibration.non_matching.sum(axis=(0, 1))
    assert across.sum() == 40 * 38
    assert across[len(across) // 2 + 1 :].sum() == 0
    assert calibration.items == 40
    assert calibration.to_dict()["thresholds"]["0.99"]["value"] == pytest.approx(0, abs=1e-3)


def test_one_text_on_a_third_of_the_images_counts_once_in_thresholds(rng: np.random.Generator) -> None:
    """The interval is that of the independent pairs, of which the text has one."""
    x, y = rng.normal(size=(600, 6)), rng.normal(size=(600, 6))
    y += 2 * x
    y[::3] = y[0]
    is_kept = (np.arange(600) % 3 != 0) | (np.arange(600) == 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", isthmus.IsthmusWarning)
        connected, distinct = isthmus.calibrate(x, y), isthmus.calibrate(x[is_kept], y[is_kept])
    thresholds = [calibration.threshold(0.3, prevalence=0.05) for calibration in (connected, distinct)]
    assert connected.sampled == 401
    assert thresholds[0].low < thresholds[0].value < thresholds[0].high
    assert (thresholds[0].low, thresholds[0].high) == (thresholds[1].low, thresholds[1].high)

"""Whether rows match, and where the pairing breaks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from broken_pairs import clip_like_rows, out_of_order, source
from isthmus import IsthmusWarning, Pairs, measure, open_pairs
from isthmus.data.sources import Source, open_source
from isthmus.statistics import pairing_breaks, pairing_ranges
from isthmus.statistics.pairing import (
    first_pairs,
    has_rotated_pairs,
    judge_pairing,
    looks_paired,
    matching_offset,
)
from isthmus.statistics.pairing_ranges import find_breaks
from isthmus.statistics.pairing_sentences import PairingBreak, ranges_clause


def clouds(weight: float) -> tuple[Source, Source]:
    """Return two cones of 300 rows each, whose pairs share a component of this weight."""
    rng = np.random.default_rng(5)
    shared, noise_x, noise_y = rng.normal(size=(3, 300, 24))
    return source(noise_x + weight * shared + 1), source(noise_y + weight * shared - 0.5)


def with_z(target: float) -> tuple[Source, Source]:
    """Return clouds whose pairing test has this z, found by bisection of the weight."""
    low, high = 0.0, 2.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if looks_paired(*clouds(middle)).z < target else (low, middle)
    return clouds(high)


@pytest.mark.parametrize(("target", "expected"), [(3.95, False), (4.05, True)])
def test_looks_paired_changes_at_four_standard_errors(target: float, expected: bool) -> None:
    pairing = looks_paired(*with_z(target))
    assert pairing.z == pytest.approx(target, abs=1e-6)
    assert pairing.looks_paired is expected
    assert pairing.reason.startswith("yes: " if expected else "no clear sign that the rows match: ")


def test_looks_paired_z_is_the_difference_in_standard_errors() -> None:
    """Over many unrelated clouds z has mean 0 and standard deviation 1."""
    z = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(2, 100, 12)) + 0.7
        z.append(looks_paired(source(x), source(y)).z)
    assert abs(np.mean(z)) < 0.25
    assert 0.8 < np.std(z) < 1.25


def test_looks_paired_reports_the_cosines_of_pairs_and_of_other_rows(rng: np.random.Generator) -> None:
    x, y = clouds(0.8)
    unit_x, unit_y = (np.asarray(s.rows) / np.linalg.norm(s.rows, axis=1, keepdims=True) for s in (x, y))
    cosines = unit_x @ unit_y.T
    pairing = looks_paired(x, y)
    assert pairing.paired == pytest.approx(np.trace(cosines) / 300, abs=1e-12)
    assert pairing.unpaired == pytest.approx((cosines.sum() - np.trace(cosines)) / (300 * 299), abs=1e-12)


def test_looks_paired_of_negatives_names_the_sign_flip_and_no_rotation() -> None:
    x, y = clouds(2.0)
    exact, noisy = looks_paired(x, source(-np.asarray(x.rows))), looks_paired(x, source(-np.asarray(y.rows)))
    assert (exact.kind, noisy.kind, looks_paired(x, y).kind) == ("negated", "negated", "paired")
    assert exact.sentence == (
        "Every row of the second source is the negative of its matching row of the first source (a sign flip); "
        "multiply the rows of one of them by -1."
    )
    assert noisy.sentence.startswith("The rows of the second source point away from their matching rows of the first")
    result = measure(np.asarray(x.rows), -np.asarray(x.rows), metrics="centroid_angle")
    assert (result.pairs["degenerate"], result.pairs["matching"]["kind"]) == ([], "negated")  # stated once


def test_looks_paired_of_few_unrelated_rows_names_no_sign_flip() -> None:
    """The difference of few rows is often large in its standard errors, by chance."""
    kinds = set()
    for seed in range(400):
        x, y = np.random.default_rng(seed).normal(size=(2, 8, 16))
        pairing = looks_paired(source(x), source(y))
        assert pairing.kind != "negated", (seed, pairing.z)
        kinds.add(pairing.z < -4)
    assert kinds == {False, True}


def test_looks_paired_of_a_rotation_with_opposite_cosines_is_rotated(rng: np.random.Generator) -> None:
    x, y = (np.asarray(modality.rows) for modality in clouds(2.0))
    rotation = np.linalg.qr(rng.normal(size=(24, 24)))[0]
    rotation *= -np.sign(np.trace(rotation))
    pairing = looks_paired(source(x - x.mean(axis=0)), source((y - y.mean(axis=0)) @ rotation))
    assert (pairing.kind, pairing.z < -4) == ("rotated", True)


def test_looks_paired_of_the_same_rows_in_another_order_says_so(rng: np.random.Generator) -> None:
    x = np.asarray(clouds(0.5)[0].rows)
    order = rng.permutation(300)
    pairing = looks_paired(source(x), source((3 * x[order]).astype(np.float32)))
    assert pairing.kind == "reordered"
    assert pairing.sentence.startswith("The same 300 rows stand in the first source and the second source, but in ")
    part = looks_paired(source(x), source(x[order[:200]]))
    assert (part.kind, part.reason) == (
        "reordered",
        "no: 300 rows against 200; all 200 rows of the second source are also rows of the first source",
    )
    mixed = np.where(np.arange(300)[:, None] % 3 == 0, rng.normal(size=x.shape), x[order])
    assert "200 of 300 rows of the second source are also" in looks_paired(source(x), source(mixed)).reason


def test_looks_paired_of_sources_that_cannot_be_compared_says_why(rng: np.random.Generator) -> None:
    rows = rng.normal(size=(20, 4))
    assert looks_paired(source(rows), source(rng.normal(size=(19, 4)))).reason == "no: 20 rows against 19"
    assert (
        looks_paired(source(rows), source(rows[:, :3])).reason
        == "no cosine to compare: width 4 against 3: they do not come from one shared space; give both "
        "projections of one model, or map both (isthmus fit RidgeCCA)"
    )
    rows[:13] = 0
    pairing = looks_paired(source(rows), source(rows))
    assert (pairing.looks_paired, pairing.reason) == (False, "only 7 usable rows to compare")
    assert pairing.to_dict()["z"] is None


@pytest.mark.parametrize(("is_shuffled", "kind"), [(False, "paired"), (True, "unpaired")])
def test_judgement_of_keys_that_repeat_in_both_files_uses_all_pairs_of_a_key(
    is_shuffled: bool, kind: str, rng: np.random.Generator
) -> None:
    keys = np.repeat(np.arange(40), 3)
    x, y = rng.normal(size=(2, 120, 24)) + rng.normal(size=(120, 24))
    y = y.reshape(40, 3, 24)[:, [1, 2, 0]].reshape(120, 24)  # the first pair of a key is none of its true ones
    y_keys = rng.permutation(keys) if is_shuffled else keys
    x_rows, y_rows = np.nonzero(keys[:, None] == y_keys)
    pairs = Pairs(image=x, text=y[y_rows], index=x_rows, y_groups=y_rows)
    assert looks_paired(*first_pairs(pairs)).kind == "unpaired"
    judged = judge_pairing(pairs)
    assert judged.kind == kind
    assert "for all pairs of 40 items" in judged.reason


def test_first_pairs_gives_the_first_pair_of_each_item(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(4, 3)), rng.normal(size=(6, 3))
    first_x, first_y = first_pairs(Pairs(image=x, text=y, index=[2, 0, 2, 3, 0, 3]))
    np.testing.assert_array_equal(first_x.read(0, 9), x[[0, 2, 3]])
    np.testing.assert_array_equal(first_y.read(0, 9), y[[1, 0, 3]])


def test_looks_paired_of_two_spaces_does_not_blame_the_order(rng: np.random.Generator) -> None:
    x, y = clip_like_rows(rng, 400, 48)
    rotated = looks_paired(source(x), source(y @ np.linalg.qr(rng.normal(size=(48, 48)))[0]))
    shuffled = looks_paired(source(x), source(rng.permutation(y)))
    assert "the rows match" in rotated.reason
    assert "do not come from one shared space" in rotated.reason
    assert "order" not in rotated.reason
    assert "their order is wrong" in shuffled.reason
    assert "shared space" not in shuffled.reason
    assert looks_paired(source(x), source(y)).looks_paired


def test_looks_paired_of_two_widths_names_two_spaces(rng: np.random.Generator) -> None:
    reason = looks_paired(source(rng.normal(size=(20, 6))), source(rng.normal(size=(20, 4)))).reason
    assert "width 6 against 4" in reason
    assert "do not come from one shared space" in reason


def test_has_rotated_pairs_of_unrelated_rows_is_never_true(rng: np.random.Generator) -> None:
    assert not any(has_rotated_pairs(*rng.normal(size=(2, 120, 16))) for _ in range(100))


@pytest.mark.parametrize(("shift", "words"), [(1, "1 row later"), (-7, "7 rows earlier")])
def test_looks_paired_of_a_shifted_side_names_the_offset(shift: int, words: str, rng: np.random.Generator) -> None:
    x, y = clip_like_rows(rng, 400, 48)
    shifted = looks_paired(source(x), source(np.roll(y, shift, axis=0)))
    swapped = looks_paired(source(np.roll(y, -shift, axis=0)), source(x))
    assert words in shifted.reason
    assert words in swapped.reason
    left_out = "first row of the second" if shift == 1 else "first 7 rows of the first"
    assert shifted.reason.endswith(f"; leave out the {left_out} source")


def test_matching_offset_of_shuffled_or_constant_rows_is_zero(rng: np.random.Generator) -> None:
    x, y = clip_like_rows(rng, 400, 48)
    offsets = {matching_offset(source(x), source(rng.permutation(y))) for _ in range(20)}
    assert offsets == {0}
    assert matching_offset(source(x), source(np.ones((400, 48)))) == 0


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize(("start", "stop"), [(200, 400), (0, 100), (300, 400), (60, 400)])
def test_looks_paired_names_the_rows_that_are_out_of_order(
    start: int, stop: int, swap: bool, rng: np.random.Generator
) -> None:
    x, y = clip_like_rows(rng, 400, 48)
    y = out_of_order(y, start, stop, rng)
    pairing = looks_paired(*map(source, (y, x) if swap else (x, y)))
    assert (pairing.kind, pairing.looks_paired) == ("broken", False)
    assert len(pairing.breaks) == 1
    assert (pairing.breaks[0].start, pairing.breaks[0].stop) == (
        pytest.approx(start, abs=4), pytest.approx(stop, abs=4)
    )  # fmt: skip
    assert "check the order of these rows" in pairing.reason


def test_looks_paired_names_all_ranges_that_do_not_match(rng: np.random.Generator) -> None:
    x, y = clip_like_rows(rng, 1000, 48)
    y = out_of_order(out_of_order(y, 150, 250, rng), 700, 800, rng)
    assert [(b.start, b.stop) for b in looks_paired(source(x), source(y)).breaks] == [
        (pytest.approx(150, abs=8), pytest.approx(250, abs=8)), (pytest.approx(700, abs=8), pytest.approx(800, abs=8))
    ]  # fmt: skip


@pytest.mark.parametrize(("lacks", "words"), [("y", "5 rows earlier"), ("x", "5 rows later")])
def test_looks_paired_of_rows_missing_in_the_middle_names_row_and_offset(
    lacks: str, words: str, rng: np.random.Generator
) -> None:
    x, y = clip_like_rows(rng, 405, 48)
    missing = np.delete(np.arange(405), np.arange(250, 255))
    x, y = (rows[missing] if name == lacks else rows[:400] for name, rows in (("x", x), ("y", y)))
    pairing = looks_paired(source(x), source(y))
    assert pairing.breaks[0].start == pytest.approx(250, abs=4)
    assert f"on, the match of a row stands {words}" in pairing.reason
    names = ("the first source", "the second source")[:: 1 if lacks == "x" else -1]
    assert pairing.reason.endswith(f"; {names[0]} lacks 5 rows there, or {names[1]} has 5 rows more")


@pytest.mark.parametrize("lacks", ["x", "y"])
@pytest.mark.parametrize("gaps", [[300, 900], [200, 500, 900], [100, 300, 500, 650, 800, 1000]])
def test_looks_paired_of_rows_missing_in_several_places_names_each_place_and_offset(
    lacks: str, gaps: list[int], rng: np.random.Generator
) -> None:
    x, y = clip_like_rows(rng, 1200, 48)
    x, y = (np.delete(r, gaps, axis=0) if name == lacks else r[: -len(gaps)] for name, r in (("x", x), ("y", y)))
    pairing = looks_paired(source(x), source(y))
    sign, count = (1 if lacks == "x" else -1), len(gaps)
    steps = pairing.breaks[0].steps
    assert [offset for _, offset in steps] == [sign * number for number in range(1, count + 1)]
    rows = np.array(gaps) - (np.arange(count) if lacks == "x" else 0)
    assert [row for row, _ in steps] == pytest.approx(rows.tolist(), abs=8)
    direction = "later" if lacks == "x" else "earlier"
    assert f"from row {steps[-1][0]:,} on {len(gaps)} rows {direction}" in pairing.reason
    assert len(pairing.sentence) <= 300


def test_looks_paired_of_rows_missing_in_both_sides_says_where_rows_match_again(rng: np.random.Generator) -> None:
    x, y = clip_like_rows(rng, 1201, 48)
    pairing = looks_paired(source(np.delete(x, 300, axis=0)), source(np.delete(y, 900, axis=0)))
    assert (pairing.breaks[0].start, pairing.breaks[0].stop) == (pytest.approx(300, abs=6), pytest.approx(899, abs=6))
    assert "the match of a row stands 1 row later in the second source" in pairing.reason


def test_looks_paired_of_a_shift_that_grows_names_both_offsets(rng: np.random.Generator) -> None:
    x, y = clip_like_rows(rng, 1200, 48)
    pairing = looks_paired(source(x[:-2]), source(np.delete(y, [0, 700], axis=0)))
    assert "stands 1 row earlier in the second source, from row " in pairing.reason
    assert " on 2 rows earlier" in pairing.reason


def test_looks_paired_of_a_range_that_chance_finds_in_shifted_rows_names_the_whole_file(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    x, y = clip_like_rows(rng, 1200, 48)
    by_chance = [pairing_breaks.BrokenRows(42, 1180, False)]
    monkeypatch.setattr(pairing_ranges, "find_broken_rows", lambda *_, **__: by_chance)
    pairing = looks_paired(source(x), source(np.roll(y, 3, axis=0)))
    assert pairing.kind == "shifted"
    assert pairing.reason.startswith("no: the match of a row stands 3 rows later in the second source: mean cosine")


def test_looks_paired_of_unequal_counts_names_the_missing_rows(rng: np.random.Generator) -> None:
    x, y = clip_like_rows(rng, 405, 48)
    pairing = looks_paired(source(x), source(np.delete(y, np.arange(250, 255), axis=0)))
    assert pairing.reason.startswith("no: 405 rows against 400; from row 25")
    assert "stands 5 rows earlier" in pairing.reason


def test_looks_paired_of_half_sorted_rows_names_the_half(rng: np.random.Generator) -> None:
    x, y = clip_like_rows(rng, 400, 48)
    order = np.concatenate([np.arange(200), 200 + np.argsort(y[200:, 0])])
    pairing = looks_paired(source(x), source(y[order]))
    assert [(b.start, b.stop) for b in pairing.breaks] == [(pytest.approx(200, abs=4), 400)]


def test_looks_paired_names_the_shard_that_does_not_match(tmp_path: Path, rng: np.random.Generator) -> None:
    x, y = clip_like_rows(rng, 600, 16)
    y = out_of_order(y, 400, 500, rng)
    for name, rows in (("image", x), ("text", y)):
        (tmp_path / name).mkdir()
        for number in range(6):
            np.save(tmp_path / name / f"{name}_{number}.npy", rows[100 * number : 100 * number + 100])
    sources = [open_source(tmp_path / name) for name in ("image", "text")]
    assert "shard image_4.npy (rows 400 to 499) does not match" in looks_paired(*sources).reason


def test_find_breaks_of_a_long_file_reads_samples_and_gives_the_exact_rows(rng: np.random.Generator) -> None:
    x, y = clip_like_rows(rng, 60_000, 8)
    found = find_breaks(source(x), source(out_of_order(y, 20_011, 27_000, rng)))
    assert [(b.start, b.stop) for b in found] == [(pytest.approx(20_011, abs=16), pytest.approx(27_000, abs=16))]


def test_measure_reports_what_inspect_says(rng: np.random.Generator) -> None:
    x, y = clip_like_rows(rng, 400, 48)
    y = out_of_order(y, 200, 400, rng)
    matching = measure(Pairs(image=x, text=y), metrics=["centroid_angle"]).pairs["matching"]
    assert matching["kind"] == "broken"
    assert matching["sentence"].startswith("Rows 200 to 399 do not match")
    assert measure(Pairs(image=x, text=x), metrics=["centroid_angle"]).pairs["matching"]["sentence"] == ""


def test_rows_of_invalid_values_do_not_hide_a_break(rng: np.random.Generator) -> None:
    x, y = clip_like_rows(rng, 400, 48)
    y = out_of_order(y, 200, 400, rng)
    x[[3, 250]], y[17] = np.nan, 0.0
    assert find_breaks(source(x), source(y))[0].start == pytest.approx(200, abs=4)


def test_looks_paired_of_distinct_rows_names_the_shard_that_does_not_match(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    x = np.repeat(rng.normal(size=(300, 16)), 5, axis=0)
    y = x + 0.5 * rng.normal(size=x.shape)
    y[600:900] = rng.permutation(y[600:900])
    for name, rows in (("image", x), ("text", y)):
        (tmp_path / name).mkdir()
        for start in range(0, 1500, 300):
            np.save(tmp_path / name / f"{start // 300}.npy", rows[start : start + 300])
    with pytest.warns(IsthmusWarning, match="300 of 1,500 image rows are distinct"):
        pairs = open_pairs(tmp_path / "image", tmp_path / "text")
    (found,) = looks_paired(*first_pairs(pairs)).breaks
    assert (found.start, found.stop, found.shard) == (600, 900, "2.npy")


def test_pairs_that_were_not_judged_are_not_called_equal(rng: np.random.Generator) -> None:
    x = rng.normal(size=(60, 8))
    twice = np.concatenate([x[:30], x[:30]])  # the second half does not match
    with pytest.warns(IsthmusWarning, match="30 of 60 y rows are distinct"):
        pairs = open_pairs(x, twice, names=("x", "y"))
    assert "the matches number 2 of the items do not match" in judge_pairing(pairs).reason
    reason = looks_paired(*first_pairs(pairs), n_pairs=pairs.n_pairs).reason
    assert "for the first pairs of 30 items" in reason
    assert "the same" not in reason
    assert "every row of x is the same as its matching row of y" in judge_pairing(Pairs(x=x, y=x)).reason


def test_a_sample_of_the_pairs_is_called_a_sample(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(300, 8)), rng.normal(size=(900, 8))
    index = np.repeat(np.arange(300), 3)
    assert " for pairs and " in judge_pairing(Pairs(x=x, y=y[:300])).reason
    assert " for all pairs of 300 items and " in judge_pairing(Pairs(x=x, y=y, index=index)).reason
    x, y = rng.normal(size=(2, 2500, 8))
    assert " for 2,000 sampled pairs and " in judge_pairing(Pairs(x=x, y=y)).reason


@pytest.mark.parametrize("places", [(4, 7), (4, 5), (0, 9)])
def test_two_exchanged_blocks_are_named_as_exchanged(places: tuple[int, int], rng: np.random.Generator) -> None:
    x, y = clip_like_rows(rng, 2000, 48)
    blocks = np.array_split(y, 10)
    blocks[places[0]], blocks[places[1]] = blocks[places[1]], blocks[places[0]]
    reason = looks_paired(source(x), source(np.concatenate(blocks))).reason
    assert reason.endswith("the two ranges are exchanged, so restore their order in one of the files")


def test_missing_rows_are_not_named_as_exchanged(rng: np.random.Generator) -> None:
    x, y = clip_like_rows(rng, 2000, 48)
    pairing = looks_paired(source(x[:1900]), source(np.delete(y, [*range(400, 450), *range(1200, 1250)], axis=0)))
    assert pairing.reason.endswith("check which rows are missing")


@pytest.mark.parametrize(
    ("order", "count"),
    [
        ((1, 2, 0), "two"),
        ((0, 2, 3, 1, 4), "two"),
        ((0, 3, 2, 1, 4), "two"),
        ((1, 0, 3, 2), "4"),
        ((0, 2, 1, 3, 5, 4, 6), "4"),
    ],
)
@pytest.mark.parametrize("size", [300, 1500])
def test_blocks_in_any_other_order_are_named(order: Sequence[int], count: str, size: int) -> None:
    """Blocks beyond the reach of the search around a known offset, and with matching blocks between them, count too."""
    x, y = clip_like_rows(np.random.default_rng(1), size * len(order), 48)
    rows = np.arange(len(x)).reshape(len(order), size)[list(order)].ravel()
    pairing = looks_paired(source(x), source(y[rows]))
    state = "exchanged" if count == "two" else "in another order"
    assert f"the {count} ranges are {state}, so restore their order in one of the files" in pairing.reason
    assert len(pairing.reason) <= 300


def test_a_clause_about_many_ranges_is_short() -> None:
    steps = tuple((100 * part, 1000 * (-1) ** part) for part in range(8))
    starts = range(0, 8000, 1000)
    ranges = [PairingBreak(start, start + 800, 1000, False, None, False, 0.1, 0.3, steps) for start in starts]
    assert ranges_clause(ranges, "text").endswith("and 7 more ranges")
    assert len(ranges_clause(ranges, "text")) <= 220

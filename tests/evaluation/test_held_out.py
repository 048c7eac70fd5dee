"""Separation of fitting and test pairs: shared pairs, repeated rows, fingerprints."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus import InputError, IsthmusWarning, Pairs
from isthmus.data.grouping import group_equal_rows, item_groups
from isthmus.evaluation import check_disjoint, compare, fingerprint, group_split, intervene
from isthmus.evaluation.held_out import warn_of_shared_rows


def with_shared(rng: np.random.Generator, n: int, n_shared: int) -> tuple[Pairs, Pairs]:
    """Return n test pairs, and n fitting pairs of which the last `n_shared` are test pairs."""
    x, y, other_x, other_y = rng.normal(size=(4, n, 5))
    fit_x = np.vstack([other_x[n_shared:], x[:n_shared]])
    fit_y = np.vstack([other_y[n_shared:], y[:n_shared]])
    return Pairs(image=x, text=y), Pairs(image=fit_x, text=fit_y)


class TestCheckDisjoint:
    def test_disjoint_pairs_pass_without_a_warning(self, rng: np.random.Generator) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check_disjoint(*with_shared(rng, 200, 0))

    @pytest.mark.parametrize("n_shared", [1, 2])
    def test_up_to_one_per_cent_of_shared_pairs_warns(self, rng: np.random.Generator, n_shared: int) -> None:
        with pytest.warns(IsthmusWarning, match=f"^{n_shared} of the 200 test pairs are fitting pairs too$"):
            check_disjoint(*with_shared(rng, 200, n_shared))

    @pytest.mark.parametrize("n_shared", [3, 200])
    def test_more_than_one_per_cent_of_shared_pairs_is_refused(self, rng: np.random.Generator, n_shared: int) -> None:
        with pytest.raises(InputError, match=f"^{n_shared} of the 200 test pairs are fitting pairs too: evaluate on"):
            check_disjoint(*with_shared(rng, 200, n_shared))

    def test_same_object_is_refused(self, pairs: Pairs) -> None:
        with pytest.raises(InputError, match="fit and test are the same pairs: evaluate on pairs that"):
            check_disjoint(pairs, pairs)

    def test_same_files_are_refused(self, pairs: Pairs, tmp_path: Path) -> None:
        for name, source in (("image", pairs.x), ("text", pairs.y)):
            np.save(tmp_path / f"{name}.npy", source.read(0, 120))
        first, second = (isthmus.open_pairs(tmp_path / "image.npy", tmp_path / "text.npy") for _ in range(2))
        with pytest.raises(InputError, match="fit and test are the same files"):
            check_disjoint(first, second)
        with pytest.raises(InputError, match="60 of the 60 test pairs are fitting pairs too"):
            check_disjoint(first.take(np.arange(60)), second)

    def test_same_rows_in_another_order_are_refused(self, pairs: Pairs, rng: np.random.Generator) -> None:
        order = rng.permutation(120)
        shuffled = Pairs(image=pairs.x.read(0, 120)[order], text=pairs.y.read(0, 120)[order])
        with pytest.raises(InputError, match="120 of the 120 test pairs are fitting pairs too"):
            check_disjoint(pairs, shuffled)

    def test_same_rows_in_other_pairs_pass(self, pairs: Pairs) -> None:
        x, y = pairs.x.read(0, 120), pairs.y.read(0, 120)
        check_disjoint(pairs, Pairs(image=x, text=np.roll(y, 1, axis=0)))
        check_disjoint(pairs, Pairs(image=y, text=x))

    def test_captions_of_one_item_are_compared_one_by_one(self, rng: np.random.Generator) -> None:
        x, y = rng.normal(size=(30, 4)), rng.normal(size=(60, 4))
        captions = Pairs(image=x, text=y, index=np.repeat(np.arange(30), 2))
        single = Pairs(image=x, text=y[::2])
        with pytest.raises(InputError, match="30 of the 60 test pairs"):
            check_disjoint(captions, single)

    def test_compare_refuses_and_warns(self, rng: np.random.Generator) -> None:
        test, fit = with_shared(rng, 120, 1)
        with pytest.warns(IsthmusWarning, match="1 of the 120 test pairs are fitting pairs too"):
            table = compare(test, fit=fit, aligners=["Centering"], tasks=["retrieval"])
        assert (table.splits, table.n_fit, table.n_test) == (1, 120, 120)
        with pytest.raises(InputError, match="fit and test are the same pairs"):
            compare(test, fit=test)


class TestGroupSplit:
    def test_repeated_rows_stay_in_one_half(self, rng: np.random.Generator) -> None:
        x = np.repeat(rng.normal(size=(20, 3)), [1, 4] * 10, axis=0)
        pairs = Pairs(image=x, text=rng.normal(size=x.shape))
        fitting, testing = group_split(pairs, item_groups(pairs), rng=3)
        assert sorted([*fitting, *testing]) == list(range(50))
        assert not {tuple(row) for row in x[fitting]} & {tuple(row) for row in x[testing]}
        assert len(np.unique(x[fitting], axis=0)) == 10

    def test_different_rows_are_split_like_split_half(
        self, make_clouds: Callable[..., Pairs], rng: np.random.Generator
    ) -> None:
        pairs = make_clouds(rng, 30)
        expected = [half.x.read(0, 15) for half in pairs.split_half(rng=3)]
        actual = [pairs.take(items).x.read(0, 15) for items in group_split(pairs, item_groups(pairs), rng=3)]
        np.testing.assert_array_equal(actual, expected)


class TestSharedRows:
    @pytest.mark.parametrize("grouped", [True, False])
    @pytest.mark.parametrize(("share", "is_shared"), [(0.3, False), (0.7, True)])
    def test_a_row_of_most_pairs_is_in_both_halves_and_named(
        self, share: float, is_shared: bool, grouped: bool, rng: np.random.Generator
    ) -> None:
        x, y = rng.normal(size=(2, 80, 4))
        y[: int(share * 80)] = y[0]
        pairs = Pairs(image=x, text=y)
        pairs = group_equal_rows(pairs) if grouped else pairs
        group = item_groups(pairs) if grouped or not is_shared else np.arange(80)
        halves = [{tuple(row) for row in pairs.take(items).y.read(0, 80)} for items in group_split(pairs, group, rng=0)]
        assert bool(halves[0] & halves[1]) == is_shared
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warn_of_shared_rows(pairs, group)
        assert [str(warning.message).partition(" and")[0] for warning in caught] == (
            ["56 of 80 pairs share their row of text with other items,"] if is_shared else []
        )

    def test_compare_and_intervene_say_so(self, rng: np.random.Generator) -> None:
        x = rng.normal(size=(300, 4))
        y = x + 0.3 * rng.normal(size=(300, 4))
        y[:160] = y[0]
        for call in (partial(compare, splits=1, aligners=["Identity"], tasks=["retrieval"]), intervene):
            for rows, counts in (((x, y), ["160"]), ((y, x), [])):
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    call(*rows)
                messages = [str(warning.message) for warning in caught]
                assert [text.split()[0] for text in messages if "held-out pairs then" in text] == counts


class TestFingerprint:
    def test_same_content_has_the_same_fingerprint(self, rng: np.random.Generator) -> None:
        x, y = rng.normal(size=(2, 20, 3))
        assert fingerprint(Pairs(a=x, b=y)) == fingerprint(Pairs(c=x.copy(), d=y.copy()))
        assert len(fingerprint(Pairs(a=x, b=y))) == 16

    def test_every_part_of_the_content_changes_the_fingerprint(self, rng: np.random.Generator) -> None:
        x, y = rng.normal(size=(2, 20, 3))
        order = np.arange(20)[::-1]
        variants = [
            Pairs(a=x, b=y),
            Pairs(a=y, b=x),
            Pairs(a=x[order], b=y),
            Pairs(a=x, b=y, labels=np.arange(20)),
            Pairs(a=x, b=y, labels=np.arange(20) + 1),
            Pairs(a=x, b=y, index=order),
        ]
        assert len({fingerprint(pairs) for pairs in variants}) == len(variants)

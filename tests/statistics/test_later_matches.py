"""Further matches of an item, such as its other captions, are judged like the first one."""

from __future__ import annotations

import numpy as np
import pytest

import isthmus
from isthmus.data.grouping import group_equal_rows
from isthmus.statistics.pairing import Pairing, judge_items


def judge(captions: np.ndarray, x: np.ndarray, *, beside: bool) -> Pairing:
    """Judge files in which the row of an image is repeated beside each caption, or all images for each caption."""
    copies, n, dim = captions.shape
    if beside:
        x, captions = np.repeat(x, copies, axis=0), captions.transpose(1, 0, 2)
    else:
        x = np.tile(x, (copies, 1))
    pairs = isthmus.Pairs(image=x, text=captions.reshape(copies * n, dim))
    return judge_items(group_equal_rows(pairs), names=("image", "text"))


@pytest.mark.filterwarnings("ignore:.*rows are distinct")
@pytest.mark.parametrize("beside", [True, False])
def test_captions_out_of_order_are_named(beside: bool, rng: np.random.Generator) -> None:
    content = rng.normal(size=(300, 12)) @ rng.normal(size=(12, 48))
    x = content + rng.normal(size=content.shape)
    captions = content + rng.normal(size=(5, *content.shape))
    assert judge(captions, x, beside=beside).kind == "paired"
    permuted, in_part = captions.copy(), captions.copy()
    permuted[2] = rng.permutation(permuted[2])
    pairing = judge(permuted, x, beside=beside)
    assert (pairing.kind, pairing.looks_paired) == ("broken", False)
    assert pairing.reason.startswith("only in part: the matches number 3 of the items do not match (mean cosine ")
    assert pairing.reason.endswith("; check their order")
    in_part[4, 100:200] = rng.permutation(in_part[4, 100:200])
    pairing = judge(in_part, x, beside=beside)
    assert pairing.sentence.startswith("Among the matches number 5 of the items, rows ")
    assert len(pairing.breaks) == 1


@pytest.mark.filterwarnings("ignore:.*rows are distinct")
def test_later_captions_that_are_rare_or_weak_are_not_judged(rng: np.random.Generator) -> None:
    content = rng.normal(size=(60, 12)) @ rng.normal(size=(12, 48))
    x = content + 9 * rng.normal(size=content.shape)
    captions = content + 9 * rng.normal(size=(2, *content.shape))
    captions[1] = rng.permutation(captions[1])
    assert judge(captions, x, beside=True).kind != "broken"

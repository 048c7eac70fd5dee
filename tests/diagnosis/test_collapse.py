"""Collapse reports of clouds with known subspaces, and verdicts on data made for each hypothesis."""

from __future__ import annotations

import json

import numpy as np
import pytest

import isthmus
from isthmus import Moments, Pairs
from isthmus.diagnosis.collapse import CollapseReport, orthogonal_share, report_collapse
from isthmus.diagnosis.decomposition_intervals import decompose_pairs
from isthmus.diagnosis.hypotheses import REFUTED, SUPPORTED, UNDECIDED


def report(pairs: Pairs) -> CollapseReport:
    return report_collapse(pairs, decompose_pairs(pairs))


def subspaces(rng: np.random.Generator, *, shared: int, own: int, d: int = 40, n: int = 500) -> Pairs:
    """Clouds around zero in `shared` common directions and `own` more of each side."""
    u, v, w = rng.normal(size=(n, shared)), rng.normal(size=(n, own)), rng.normal(size=(n, own))
    x, y = np.zeros((2, n, d))
    x[:, :shared] = y[:, :shared] = u
    x[:, shared : shared + own], y[:, shared + own : shared + 2 * own] = v, w
    return Pairs(image=x, text=y)


def test_report_counts_ranks_and_shared_dimensions(rng: np.random.Generator) -> None:
    c = report(subspaces(rng, shared=5, own=3))
    assert c.ranks == c.centred_ranks == (8, 8)
    assert (c.shared.value, c.shared.null, c.guaranteed, c.excess) == (5, 0, 0, 5)
    assert c.smallest_angle.value == pytest.approx(0, abs=1e-5)
    assert c.largest_angle.value == pytest.approx(90, abs=1e-5)
    assert 20 < c.smallest_angle.null < 60


def test_guaranteed_dimensions_are_no_excess(rng: np.random.Generator) -> None:
    x, y = (rng.normal(size=(800, 15)) @ np.linalg.qr(rng.normal(size=(20, 15)))[0].T for _ in range(2))
    c = report(Pairs(image=x, text=y))
    assert (c.ranks, c.guaranteed, c.excess) == ((15, 15), 10, 0)
    assert c.shared.null == pytest.approx(10, abs=1)


def test_orthogonal_share_equals_the_projection(rng: np.random.Generator) -> None:
    x, y = np.zeros((2, 300, 12))
    x[:, :4], y[:, :4] = rng.normal(size=(2, 300, 4))
    x[:, 5] += 3.0  # outside both clouds
    y[:, 0] += 1.0  # inside
    m = Moments.of(x, y, normalize=False)
    share, ranks = orthogonal_share(m)
    gap = m.mean_x - m.mean_y
    assert ranks == (4, 4)
    assert share.value == pytest.approx(gap[5] ** 2 / (gap @ gap), abs=1e-9)
    assert share.null == pytest.approx(1 - 4 / 12)
    same, _ = orthogonal_share(Moments.of(x, x))
    assert same.undefined == "the two means are equal"


@pytest.mark.parametrize("n", [25, 200])
def test_orthogonal_share_of_multiples_is_undefined_and_not_that_of_rounding(n: int, rng: np.random.Generator) -> None:
    x = (rng.normal(size=(n, 64)) + 1).astype(np.float32)
    for lengths in (3, rng.uniform(0.3, 3, size=(n, 1)).astype(np.float32)):
        share, _ = orthogonal_share(Moments.of(x, lengths * x))
        assert share.undefined == "the two means are equal"
        name = "gap_share_top_2"
        assert isthmus.measure(x, lengths * x, metrics=name)[name].undefined == share.undefined


def test_offset_in_each_of_two_subspaces_supports_both_hypotheses() -> None:
    c = report(isthmus.demo.load("collapsed", split="test"))
    assert [a.verdict for a in c.hypotheses] == [SUPPORTED, SUPPORTED]
    assert c.orthogonal_share.value > 0.99
    assert "Both hypotheses hold together" in c.sentences()[2]
    json.dumps(c.to_dict(), allow_nan=False)


def test_offset_without_collapse_supports_the_offset_alone(rng: np.random.Generator) -> None:
    # Rows fill all but one dimension, and the offset along that one is the same for all.
    u = rng.normal(size=(2000, 11))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    offset = np.full((2000, 1), 0.6)
    c = report(Pairs(image=np.hstack([u, offset]), text=np.hstack([u[:, ::-1], -offset])))
    assert [a.verdict for a in c.hypotheses] == [REFUTED, SUPPORTED]


def test_gap_along_the_data_refutes_the_offset(rng: np.random.Generator) -> None:
    scales = np.r_[2.0, np.ones(5), np.zeros(14)]
    x, y = rng.normal(size=(2, 1000, 20)) * scales + 1e-3 * rng.normal(size=(2, 1000, 20))
    x[:, 0] += 2
    y[:, 1] += 2
    c = report(Pairs(image=x, text=y))
    assert c.hypotheses[1].verdict == REFUTED


def test_hypotheses_without_a_gap_are_undecided() -> None:
    c = report(isthmus.demo.load("warm", split="test"))
    assert [a.verdict for a in c.hypotheses] == [UNDECIDED, UNDECIDED]
    assert all("not distinguishable from zero" in a.sentence() for a in c.hypotheses)


def test_hypotheses_on_few_items_are_undecided(rng: np.random.Generator) -> None:
    x, y = 0.01 * rng.normal(size=(2, 20, 400)) + 4 * np.eye(400)[:2, None]
    few, more = (report(Pairs(image=x[:n], text=y[:n])) for n in (19, 20))
    assert [a.verdict for a in few.hypotheses] == [UNDECIDED, UNDECIDED]
    assert all("19 items are too few" in a.sentence() for a in few.hypotheses)
    assert not any("too few" in a.sentence() for a in more.hypotheses)


def test_report_of_clip_has_its_golden_values(clip_coco: Pairs) -> None:
    c = report(clip_coco)
    assert (c.ranks, c.centred_ranks, c.shared.value, c.guaranteed) == ((251, 232), (296, 277), 2, 0)
    assert c.hypotheses[0].predictions[0].verdict == UNDECIDED  # fewer items than dimensions
    assert c.hypotheses[0].verdict == UNDECIDED  # 500 rows know no subspace of 512 dimensions
    assert c.hypotheses[1].verdict == UNDECIDED  # the two centred spans fill the space

"""The dose experiment: what each path moves, what the numbers are, and what the runs whose truth is known say."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.isotonic import IsotonicRegression
from typer.testing import CliRunner

import isthmus
from isthmus import InputError, Moments, Pairs
from isthmus.cli import app
from isthmus.evaluation.interventions import (
    INTERVENTIONS,
    InterventionCurve,
    intervene,
    partial_rotation,
)
from isthmus.evaluation.shared_space import count_shared_dimensions, shared_alignment, shared_basis
from isthmus.reporting.intervention_page import intervention_page
from isthmus.statistics.correlation import isotonic_r2, spearman


@pytest.fixture(scope="module")
def collapsed() -> InterventionCurve:
    return intervene(isthmus.demo.load("collapsed", split="test"))


def test_every_path_moves_what_it_says(collapsed: InterventionCurve) -> None:
    raw = collapsed.raw
    assert raw.gap == pytest.approx(60, abs=1.5)
    for name in ("translate", "rotate"):
        gaps = [d.gap for d in collapsed.curve(name)]
        assert gaps == sorted(gaps, reverse=True)
        assert gaps[-1] < 5
        assert [d.alignment for d in collapsed.curve(name)] == pytest.approx([raw.alignment] * 7, abs=0.01)
    half = next(d for d in collapsed.curve("rotate") if d.strength == 0.5)
    assert half.gap == pytest.approx(raw.gap / 2, abs=0.5)
    for name, sign in (("collapse", -1), ("remove_unshared", 1)):
        doses = collapsed.curve(name)
        assert [d.gap for d in doses] == pytest.approx([raw.gap] * 7, abs=0.5)
        assert sign * (doses[-1].alignment - raw.alignment) >= 0
    assert collapsed.curve("collapse")[-1].alignment < 0.05


def test_the_affine_case(collapsed: InterventionCurve) -> None:
    """The gap is a constant to the loss: recall follows the shared space, mixed search the gap."""
    recall, mixed = collapsed.explained["R@1"], collapsed.explained["mixed_NDCG@10"]
    assert recall["curve_difference"].low > 0.5
    assert mixed["curve_difference"].high < -0.5
    assert abs(collapsed.curve("translate")[-1].scores["R@1"] - collapsed.raw.scores["R@1"]) < 0.02
    assert collapsed.curve("collapse")[-1].scores["R@1"] < 0.02
    assert collapsed.curve("rotate")[-1].scores["mixed_NDCG@10"] > 0.6
    verdict = collapsed.verdict()
    assert verdict[0].startswith("R@1 follows the alignment of the shared space more closely than the gap: a monotone")
    assert verdict[1].startswith("mixed_NDCG@10 follows the gap more closely than the alignment of the shared space")
    assert "zero_shot_accuracy" in collapsed.explained


def test_alignment_and_shared_dimensions_of_a_known_space(rng: np.random.Generator) -> None:
    n, d, k = 2000, 20, 4
    u = rng.normal(size=(n, k))
    x, y = (np.hstack([u, 0.5 * rng.normal(size=(n, d - k))]) + 2 * np.eye(d)[i] for i in (5, 6))
    moments = Moments.of(x, y, normalize=False)
    basis = shared_basis(moments, k)
    np.testing.assert_allclose(np.linalg.svd(basis[:k])[1], 1, atol=0.01)
    expected = np.sum(u.var(axis=0)) / math.sqrt(x.var(axis=0).sum() * y.var(axis=0).sum())
    assert shared_alignment(moments, basis) == pytest.approx(expected, abs=0.01)
    moved = Moments.of(x + 7, y - 3, normalize=False)
    assert shared_alignment(moved, basis) == pytest.approx(shared_alignment(moments, basis), abs=1e-9)
    assert k <= count_shared_dimensions(Pairs(a=x, b=y)) <= k + 2
    with pytest.raises(InputError, match="no shared direction"):
        count_shared_dimensions(Pairs(a=np.tile(np.eye(2)[0], (50, 1)), b=np.tile(np.eye(2)[1], (50, 1))))


def test_statistics_are_those_of_the_oracles(rng: np.random.Generator) -> None:
    a, b = rng.integers(0, 6, 25).astype(float), rng.normal(size=25)
    assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert math.isnan(spearman(a, np.ones(25)))
    fitted = [IsotonicRegression(increasing=up).fit(a, b).predict(a) for up in (True, False)]
    left = min(np.sum((b - f) ** 2) for f in fitted)
    assert isotonic_r2(a, b) == pytest.approx(1 - left / np.sum((b - b.mean()) ** 2))
    assert isotonic_r2(a, -(a**3)) == pytest.approx(1)
    turn = partial_rotation(np.eye(4)[0], np.array([0.0, 2.0, 0.0, 0.0]), 1 / 3)
    np.testing.assert_allclose(turn @ np.eye(4)[0], [math.cos(math.pi / 6), 0.5, 0, 0], atol=1e-12)
    np.testing.assert_allclose(turn @ turn.T, np.eye(4), atol=1e-12)


def test_captions_of_one_image_and_the_angle_that_is_undefined(rng: np.random.Generator) -> None:
    owner = np.repeat(np.arange(80), 2)
    latent = rng.normal(size=(80, 6))
    latent -= latent.mean(axis=0)
    x, y = latent + 0.2 * rng.normal(size=(80, 6)), latent[owner] + 0.2 * rng.normal(size=(160, 6))
    found = intervene(Pairs(image=x, text=y, index=owner), interventions=["translate"])
    assert (found.n_fit, found.n_test, found.gap_measure) == (80, 80, "gap_distance")
    assert list(found.explained) == ["R@1", "mixed_NDCG@10"]
    assert intervene(Pairs(image=x, text=y, index=owner), interventions=["translate"]).to_json() == found.to_json()


def test_what_is_refused(rng: np.random.Generator) -> None:
    pairs = Pairs(image=rng.normal(size=(60, 4)), text=rng.normal(size=(60, 4)))
    with pytest.raises(InputError, match="unknown intervention 'translat': did you mean 'translate'"):
        intervene(pairs, interventions=["translat"])
    with pytest.raises(InputError, match="no intervention was named"):
        intervene(pairs, interventions=[])
    with pytest.raises(InputError, match="39 items are too few"):
        intervene(pairs.take(np.arange(39)))
    with pytest.raises(InputError, match="shared=9, expected 1 to 4 directions"):
        intervene(pairs, shared=9)


def test_files_and_command_line(collapsed: InterventionCurve, tmp_path: Path) -> None:
    intervention_page(collapsed, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.count("<svg") == 1
    assert "currentColor" in text
    assert all(name in text for name in INTERVENTIONS)
    collapsed.save(tmp_path / "points.csv")
    assert len((tmp_path / "points.csv").read_text(encoding="utf-8").splitlines()) == 1 + len(collapsed.points)
    image, labels = isthmus.demo.export(tmp_path, "collapsed", split="test")[0], tmp_path / "labels.npy"
    np.save(labels, isthmus.demo.load("collapsed", split="test").labels)
    arguments: list[Any] = ["intervene", str(image), str(tmp_path / "text.npy"), "--labels", str(labels)]
    done = CliRunner().invoke(
        app,
        [
            *arguments,
            "--interventions",
            "translate",
            "--json",
            "-o",
            str(tmp_path / "curve.svg"),
            "-o",
            str(tmp_path / "d.json"),
        ],
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["explained"].keys() == collapsed.explained.keys()
    assert (tmp_path / "curve.svg").read_text(encoding="utf-8").startswith("<svg")
    assert json.loads((tmp_path / "d.json").read_text(encoding="utf-8")) == json.loads(done.stdout)
    assert "must end in .html, .svg, .json or .csv" in str(
        CliRunner().invoke(app, [*arguments, "-o", "x.png"]).exception
    )


def test_real_pairs(clip_coco: Pairs) -> None:
    """The numbers of docs/tasks.md."""
    found = intervene(clip_coco)
    shares = {
        score: [round(100 * found.explained[score][f"{k}_curve"].value) for k in ("gap", "alignment")]
        for score in ("R@1", "mixed_NDCG@10")
    }
    assert shares == {"R@1": [6, 82], "mixed_NDCG@10": [100, 7]}
    ends = {name: found.curve(name)[-1] for name in INTERVENTIONS}
    assert found.raw.scores["R@1"] == pytest.approx(0.644)
    assert [ends[name].scores["R@1"] for name in ("translate", "rotate", "remove_unshared")] == pytest.approx(
        [0.448, 0.398, 0.452]
    )
    assert ends["translate"].scores["mixed_NDCG@10"] == pytest.approx(0.322, abs=5e-4)
    assert (found.raw.alignment, ends["remove_unshared"].alignment) == pytest.approx((0.299, 0.588), abs=1e-3)

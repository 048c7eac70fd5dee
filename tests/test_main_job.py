"""The whole job on real pairs and on the demonstration runs: the numbers that are known."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import isthmus
from isthmus import InputError, IsthmusWarning, Moments, Pairs
from isthmus.align import Centering, MeanRotation, SharedSpaceProjection
from isthmus.cli import app
from isthmus.diagnosis import retrieval_at_chance
from isthmus.linalg import plane_rotation
from isthmus.metrics import MetricContext
from isthmus.metrics.centroid import gap_angle
from isthmus.statistics.moments import moments_of
from isthmus.tasks import MixedSearch, Retrieval


def test_clip_embeddings_have_their_golden_values(real: Callable[[str], Path]) -> None:
    files = [str(real(f"clip_coco/{side}.npy")) for side in ("image", "text")]
    done = CliRunner().invoke(app, ["measure", *files, "--json"])
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert (found["format"], found["pairs"]["names"]) == (1, ["image", "text"])
    entries = found["metrics"].items()
    value = {name: entry["value"] if entry["plugin"] is None else entry["plugin"] for name, entry in entries}
    assert value["centroid_angle"] == pytest.approx(72.01, abs=0.05)
    assert value["centroid_distance"] == pytest.approx(0.8514, abs=0.0005)
    assert value["mean_paired_cosine"] == pytest.approx(0.310, abs=0.001)
    assert value["image_to_text_R@1"] * 500 == pytest.approx(276, abs=1e-9)
    assert value["text_to_image_R@1"] * 500 == pytest.approx(253, abs=1e-9)
    assert (value["rank_99_image"], value["rank_99_text"]) == (251, 232)
    assert value["mean_resultant_length_image"] == pytest.approx(0.730, abs=0.0005)
    assert value["mean_resultant_length_text"] == pytest.approx(0.718, abs=0.0005)
    first_five = ("centroid_angle", "centroid_distance", "mean_paired_cosine", "mean_unpaired_cosine")
    for name in (*first_five, "mean_resultant_length_image", "mean_resultant_length_text"):
        entry = found["metrics"][name]
        assert entry["low"] < entry["value"] < entry["high"], name
    assert len(found["curves"]["principal_angles"]) == 232


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "names"),
    [("clip_coco_random_init", ("image", "text")), ("videoclip_msrvtt_random_init", ("video", "text"))],
)
def test_untrained_encoders_are_at_chance(real: Callable[[str], Path], folder: str, names: Any, tmp_path: Path) -> None:
    pairs = isthmus.open_pairs(*(real(f"{folder}/{name}.npy") for name in names))
    result = isthmus.measure(pairs)
    assert retrieval_at_chance(result)
    for a, b in (names, names[::-1]):
        assert result[f"{a}_to_{b}_R@1"].low <= result[f"{a}_to_{b}_R@1"].null
    explanation = isthmus.report(pairs, tmp_path / "page.html")
    assert "at chance" in " ".join(explanation.verdict[:2])
    assert "Retrieval is at chance" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_published_projection_of_two_dimensions_warns(clip_coco: Pairs) -> None:
    aligner = SharedSpaceProjection(estimator="published", judge=False).fit_moments(moments_of(clip_coco))
    with pytest.warns(IsthmusWarning, match=r"finds 2 shared dimensions \(0 of them guaranteed\) of 251 and 232"):
        x, _ = aligner.transform(*clip_coco.unit())
    assert x.shape == (500, 2)
    assert (aligner.fit_info_["shared"], aligner.fit_info_["guaranteed"]) == (2, 0)
    half, _ = clip_coco.split_half(rng=0)
    with pytest.raises(InputError, match="no shared space: the 99 % energy subspaces of dimensions"):
        SharedSpaceProjection(estimator="published", judge=False).fit_moments(moments_of(half)).transform(
            *clip_coco.unit()
        )


class TestCollapsed:
    """Maps fitted on the training rows of the collapsed run and judged on its held-out rows."""

    train = staticmethod(lambda: isthmus.demo.load("collapsed", split="train"))

    @pytest.fixture
    def held_out(self) -> tuple[np.ndarray, np.ndarray]:
        return isthmus.demo.load("collapsed", split="test").unit()

    @staticmethod
    def recall(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.mean([e.value for e in Retrieval.of(x, y).recall(1)]))

    @staticmethod
    def mixed(x: np.ndarray, y: np.ndarray) -> float:
        return MixedSearch.of(x, y).recall(1)

    @staticmethod
    def gap(x: np.ndarray, y: np.ndarray) -> float:
        return gap_angle(MetricContext(Moments.of(x, y))).value

    def test_gap_is_the_imposed_angle(self, held_out: Any) -> None:
        assert self.gap(*held_out) == pytest.approx(60, abs=1)

    def test_every_cosine_is_the_offset_plus_the_shared_part(self, held_out: Any) -> None:
        x, y = (side.astype(np.float64) for side in held_out)
        run = isthmus.demo.arrays("collapsed", split="test")
        u, v = (side @ run.basis.T / 0.7 for side in (x, y))
        np.testing.assert_allclose(np.sum(x * y, axis=1), 0.255 + 0.49 * np.sum(u * v, axis=1), atol=1e-6)

    def test_rotation_of_the_axes_closes_the_gap(self, held_out: Any) -> None:
        x, y = held_out
        a, b = isthmus.demo.arrays("collapsed").axes
        rotated = plane_rotation(a, b).apply(x)
        assert self.gap(rotated, y) <= 10
        assert self.recall(rotated, y) == pytest.approx(self.recall(x, y), abs=0.002)

    def test_rotation_of_the_means_closes_the_gap(self, held_out: Any) -> None:
        x, y = held_out
        rotated, y2 = MeanRotation().fit_moments(moments_of(self.train())).transform(x, y)
        assert self.gap(rotated, y2) <= 3
        assert self.recall(rotated, y2) == pytest.approx(self.recall(x, y), abs=0.02)

    def test_projection_finds_the_shared_space(self, held_out: Any) -> None:
        aligner = SharedSpaceProjection(judge=False).fit_moments(moments_of(self.train()))
        x, y = aligner.transform(*held_out)
        assert (aligner.fit_info_["shared"], aligner.fit_info_["guaranteed"], x.shape[1]) == (16, 0, 16)
        basis = isthmus.demo.arrays("collapsed").basis
        assert np.linalg.norm(basis @ aligner.map_x_.matrix) ** 2 == pytest.approx(16, abs=1e-6)  # the same span
        assert self.recall(x, y) == pytest.approx(self.recall(*held_out), abs=0.002)

    def test_centering_and_projection_recover_mixed_search(self, held_out: Any) -> None:
        assert self.mixed(*held_out) < 0.01
        moments = moments_of(self.train())
        assert self.mixed(*SharedSpaceProjection(judge=False).fit_moments(moments).transform(*held_out)) >= 0.12
        assert self.mixed(*Centering().fit_moments(moments).transform(*held_out)) >= 0.13

    def test_centre_is_the_largest_component(self) -> None:
        explanation = isthmus.explain(isthmus.demo.load("collapsed", split="test"))
        assert explanation.budget.largest == "centre"
        assert 0.25 <= explanation.budget["centre"].value <= 0.27


def test_plain_run_has_all_components() -> None:
    explanation = isthmus.explain(isthmus.demo.load("plain", split="test"))
    assert explanation.result["centroid_angle"].value == pytest.approx(30, abs=4)
    parts = {name: part.value for name, part in explanation.budget.items()}
    assert min(parts["centre"], parts["orientation"], parts["pairing"]) > 0.04
    assert sum(parts.values()) == pytest.approx(explanation.budget.total.value, abs=1e-12)


def test_warm_run_has_no_angle() -> None:
    angle = isthmus.measure(isthmus.demo.load("warm", split="test"))["centroid_angle"]
    assert angle.undefined is not None
    assert "not distinguishable from zero" in angle.undefined
    assert math.isnan(angle.value)


def test_verbs_in_sequence_do_the_main_job(tmp_path: Path) -> None:
    """Run the verbs that a new user types, in their order."""
    run = CliRunner().invoke
    assert (
        run(app, ["demo", "--run", "collapsed", "-o", f"{tmp_path}/demo.html", "--export", f"{tmp_path}/emb"]).exit_code
        == 0
    )
    files = [f"{tmp_path}/emb/image.npy", f"{tmp_path}/emb/text.npy"]
    assert "Paired? yes" in run(app, ["inspect", *files]).stdout
    assert "centroid_angle" in run(app, ["measure", *files]).stdout
    done = run(app, ["report", *files, "-o", f"{tmp_path}/report.html"])
    assert done.exit_code == 0
    assert re.search(r" 60\.0\d? degrees apart", done.stdout)
    saved = f"{tmp_path}/centering.safetensors"
    assert run(app, ["fit", "centering", *files, "-o", saved]).exit_code == 0
    assert run(app, ["apply", saved, files[0], "-o", f"{tmp_path}/aligned.npy"]).exit_code == 0
    pairs = isthmus.open_pairs(*files)
    expected = Centering().fit_moments(moments_of(pairs)).transform_x(pairs.unit()[0])
    np.testing.assert_allclose(np.load(tmp_path / "aligned.npy"), expected, atol=1e-6)
    text = run(app, ["apply", saved, files[1], "-o", f"{tmp_path}/t.npy", "--modality", "text", "--json"])
    assert json.loads(text.stdout)["rows"] == 1797

"""More than two modalities: every pair as if it stood alone, and matrices over all of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import isthmus
from isthmus import InputError, Modalities, Pairs
from isthmus.cli import app
from isthmus.utils.format import number


@pytest.fixture
def sides(rng: np.random.Generator) -> dict[str, np.ndarray]:
    u = rng.normal(size=(120, 6))
    return {
        name: u + 0.5 * rng.normal(size=u.shape) + 2 * np.eye(6)[i] for i, name in enumerate(("image", "text", "audio"))
    }


def test_each_pair_is_that_of_pairs(sides: dict[str, np.ndarray]) -> None:
    measured = Modalities(**sides).measure()
    assert list(measured) == [("image", "text"), ("image", "audio"), ("text", "audio")]
    alone = isthmus.measure(Pairs(image=sides["image"], audio=sides["audio"]))
    assert measured["image", "audio"].to_dict() == alone.to_dict()
    assert measured["audio", "image"] is measured["image", "audio"]


def test_matrices(sides: dict[str, np.ndarray]) -> None:
    found = Modalities(**sides).explain()
    for name in ("centroid_angle", "centre", "total", "reached"):
        matrix = found.matrix(name)
        np.testing.assert_array_equal(matrix, matrix.T)
        assert np.isnan(np.diag(matrix)).all()
    parts = sum(found.matrix(name) for name in isthmus.explain(Pairs(a=sides["image"], b=sides["text"])).budget)
    np.testing.assert_allclose(parts, found.matrix("total"), atol=1e-12)
    assert found.matrix("centroid_angle")[0, 2] == found["image", "audio"].result["centroid_angle"].value


def test_directed_and_single_numbers(sides: dict[str, np.ndarray]) -> None:
    found = Modalities(**sides).measure(metrics="retrieval,spectrum")
    matrix = found.matrix("R@1")
    assert matrix[0, 1] == found["image", "text"]["image_to_text_R@1"].value
    assert matrix[1, 0] == found["image", "text"]["text_to_image_R@1"].value
    assert list(found.per_modality("effective_rank")) == ["image", "text", "audio"]
    assert found.per_modality("effective_rank")["audio"] == found["image", "audio"]["effective_rank_audio"]
    assert found.per_modality("centroid_angle") == {}


def test_files(sides: dict[str, np.ndarray], tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.npy" for name in sides]
    for path, rows in zip(paths, sides.values(), strict=True):
        np.save(path, rows)
    opened = Modalities.open(*paths)
    assert opened.names == ("image", "text", "audio")
    angle = Modalities(**sides).measure(metrics="centroid_angle").matrix("centroid_angle")
    np.testing.assert_array_equal(opened.measure(metrics="centroid_angle").matrix("centroid_angle"), angle)
    with pytest.raises(InputError, match="got the names 'a', 'b' for 3 paths"):
        Modalities.open(*paths, names=["a", "b"])
    with pytest.raises(InputError, match="Modalities takes more than two"):
        Pairs(**sides)


def test_page(sides: dict[str, np.ndarray], tmp_path: Path) -> None:
    from isthmus.reporting.modalities_page import modalities_page

    found = Modalities(**sides).explain()
    modalities_page(found, tmp_path / "three.html")
    text = (tmp_path / "three.html").read_text(encoding="utf-8")
    assert "The gaps between image, text and audio" in text
    assert text.count("<svg") == 3
    for pair, one in found.items():
        assert f">{' and '.join(pair)}</h2>" in text
        assert f"{one.budget.total.value:.3f}" in text
        assert one.verdict[0] in text
    assert ">nan" not in text


def test_command_line(sides: dict[str, np.ndarray], tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{name}.npy") for name in sides]
    for path, rows in zip(paths, sides.values(), strict=True):
        np.save(path, rows)

    def run(*words: str) -> str:
        done = CliRunner().invoke(app, [*words])
        assert done.exit_code == 0, done.exception
        return done.output

    found = Modalities(**sides).explain()
    angle = number(found.matrix("centroid_angle")[0, 2])
    assert angle in run("measure", *paths, "--metrics", "first order")
    explained = run("explain", *paths)
    assert all(one.verdict[0] in explained for one in found.values())
    assert number(found.matrix("pairing")[1, 2]) in explained
    page = tmp_path / "page.html"
    run("report", *paths, "-o", str(page))
    assert page.exists()
    as_json = json.loads(run("measure", *paths, "--metrics", "fast", "--json", "--names", "a,b,c"))
    assert as_json["modalities"] == ["a", "b", "c"]
    refused = CliRunner().invoke(app, ["measure", *paths, "--labels", paths[0]])
    assert "is for two modalities, and 3 were given" in str(refused.exception)


def test_json(sides: dict[str, np.ndarray]) -> None:
    found = json.loads(Modalities(**sides).measure(metrics=["centroid_angle"]).to_json())
    assert found["modalities"] == ["image", "text", "audio"]
    assert set(found["pairs"]) == {"image,text", "image,audio", "text,audio"}


def test_what_is_refused(sides: dict[str, np.ndarray]) -> None:
    with pytest.raises(InputError, match="got 1 modalities, expected two or more"):
        Modalities(image=sides["image"])
    with pytest.raises(InputError, match="has 120 rows and audio has 119"):
        Modalities(image=sides["image"], text=sides["text"], audio=sides["audio"][1:])
    measured = Modalities(**sides).measure(metrics=["centroid_angle"])
    with pytest.raises(InputError, match="unknown number 'centroid_angel': did you mean 'centroid_angle'"):
        measured.matrix("centroid_angel")
    with pytest.raises(KeyError, match="no pair 'image', 'video'"):
        _ = measured["image", "video"]

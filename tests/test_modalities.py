"""More than two modalities: every pair as if it stood alone, and matrices over all of them."""

from __future__ import annotations

import json

import numpy as np
import pytest

import isthmus
from isthmus import InputError, Modalities, Pairs


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

"""Items of two modalities in one row: weighted sums of scores, the choice of the weight, and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus.align import Centering, CombinedItems, ScoreCalibration
from isthmus.utils.errors import InputError


def simulated(n: int, seed: int, *, noise: tuple[float, float] = (1.0, 1.0)) -> dict[str, np.ndarray]:
    """Return images, captions and further captions of n items, where each modality sees its own part of an item."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n, 24))
    rows = {
        name: latent + scale * rng.normal(size=latent.shape) + 3 * np.eye(24)[k]
        for k, (name, scale) in enumerate(zip(("image", "text"), noise, strict=True))
    }
    return rows | {"query": latent + rng.normal(size=latent.shape) + 3 * np.eye(24)[1]}


@pytest.fixture
def rows() -> dict[str, np.ndarray]:
    return simulated(300, 0)


@pytest.fixture
def correction(rows: dict[str, np.ndarray]) -> ScoreCalibration:
    return ScoreCalibration().fit(image=rows["image"], text=rows["text"])


def recall(items: CombinedItems, rows: dict[str, np.ndarray]) -> float:
    asked = items.correction.query(rows["query"], modality=items.query, index="exact")
    found = (asked @ items.stored(image=rows["image"], text=rows["text"]).T).argmax(axis=1)
    return float(np.mean(found == np.arange(len(found))))


def test_inner_products_are_weighted_sums_of_the_corrected_scores(
    correction: ScoreCalibration, rows: dict[str, np.ndarray]
) -> None:
    items = CombinedItems(correction, "text", {"image": 0.3, "text": 0.7})
    stored = items.stored(image=rows["image"], text=rows["text"])
    scores = [
        weight * correction.scores(rows["query"], rows[name], query="text", stored=name)
        for name, weight in items.weights.items()
    ]
    asked = correction.query(rows["query"], modality="text", index="exact")
    np.testing.assert_allclose(asked @ stored.T, scores[0] + scores[1], atol=1e-10)
    assert stored.shape[0] == 300


def test_chosen_weight_finds_more_than_either_modality_on_new_items(correction: ScoreCalibration) -> None:
    train, test = simulated(400, 1), simulated(400, 2)
    items = CombinedItems.chosen(correction, train["query"], query="text", image=train["image"], text=train["text"])
    assert 0.2 <= items.weights["image"] <= 0.8
    alone = [
        recall(CombinedItems(correction, "text", {"image": weight, "text": 1 - weight}), test) for weight in (0.0, 1.0)
    ]
    assert recall(items, test) > max(alone) + 0.05
    assert items.recall is not None
    assert items.recall["both"] == pytest.approx(recall(items, test), abs=0.1)
    assert "Queries of text find" in items.sentence()


def test_modality_without_information_gets_no_weight() -> None:
    train, test = (simulated(300, seed, noise=(30.0, 1.0)) for seed in (1, 2))
    correction = ScoreCalibration().fit(image=train["image"], text=train["text"])
    items = CombinedItems.chosen(correction, train["query"], query="text", image=train["image"], text=train["text"])
    text = recall(CombinedItems(correction, "text", {"image": 0.0, "text": 1.0}), test)
    assert recall(items, test) >= text - 0.01


def test_several_queries_of_an_item_and_a_row_map_are_taken(rows: dict[str, np.ndarray]) -> None:
    mapped = Centering().fit(image=rows["image"], text=rows["text"])
    new = simulated(300, 5)
    queries = np.concatenate([rows["query"], rows["query"] + 0.1 * new["query"]])
    items = CombinedItems.chosen(
        mapped, queries, query="text", owner=np.tile(np.arange(300), 2), image=rows["image"], text=rows["text"]
    )
    assert items.stored(image=rows["image"], text=rows["text"]).shape == (300, 24)
    assert items.recall is not None
    assert items.recall["both"] >= max(items.recall["image"], items.recall["text"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": None}, "got rows of image, expected two modalities by name"),
        ({"text": 299}, "got 300 and 299 rows of items, 300 queries and 300 owners"),
        ({"owner": np.zeros(3, int)}, "300 queries and 3 owners"),
        ({"owner": np.full(300, 300)}, "one item for each query"),
        ({"queries": "text"}, "queries of text equal the stored rows of their items"),
        ({"query": "audio"}, "unknown modality 'audio'"),
    ],
)
def test_chosen_refuses(
    correction: ScoreCalibration, rows: dict[str, np.ndarray], change: dict[str, Any], message: str
) -> None:
    modalities = {"image": rows["image"], "text": rows["text"][: change.get("text", 300) or 0]}
    if change.get("text", 300) is None:
        del modalities["text"]
    queries = rows[change.get("queries", "query")]
    options = {name: value for name, value in change.items() if name in ("owner", "query")}
    with pytest.raises(InputError, match=message):
        CombinedItems.chosen(correction, queries, **{"query": "text", **options}, **modalities)


def test_invalid_weights_and_forms_are_refused(correction: ScoreCalibration, rows: dict[str, np.ndarray]) -> None:
    with pytest.raises(InputError, match="expected two of 0 or more whose sum is 1"):
        CombinedItems(correction, "text", {"image": 0.6, "text": 0.6})
    cosine = ScoreCalibration(metric="cosine").fit(image=rows["image"], text=rows["text"])
    with pytest.raises(InputError, match="use metric='inner_product'"):
        CombinedItems(cosine, "text", {"image": 0.5, "text": 0.5})
    items = CombinedItems(correction, "text", {"image": 0.5, "text": 0.5})
    with pytest.raises(InputError, match="expected equally many of image and text"):
        items.stored(image=rows["image"])
    assert items.sentence() == "Items are stored as a sum of 0.50 of image and 0.50 of text."


@pytest.mark.filterwarnings("ignore:these .* rows of text are unlike")
def test_items_of_clip_are_found_as_often_as_by_the_better_modality(clip_coco: isthmus.Pairs) -> None:
    image, text = (np.asarray(table, dtype=np.float64) for table in clip_coco.unit())
    rng = np.random.default_rng(0)
    changes = []
    for seed in range(1):
        order = np.random.default_rng(seed).permutation(500)
        fit, test = order[:250], order[250:]
        correction = ScoreCalibration().fit(image=image[fit], text=text[fit])
        queries = text + 0.9 * (text[rng.permutation(500)] - text.mean(axis=0))
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
        items = CombinedItems.chosen(correction, queries[fit], query="text", image=image[fit], text=text[fit])
        judged = {"query": queries[test], "image": image[test], "text": text[test]}
        alone = [recall(CombinedItems(correction, "text", {"image": w, "text": 1 - w}), judged) for w in (0.0, 1.0)]
        changes.append(recall(items, judged) - max(alone))
    assert np.mean(changes) >= -0.01

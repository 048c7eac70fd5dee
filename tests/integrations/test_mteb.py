"""Corrections in mteb: its mock tasks, and a retrieval task of 300 images and 300 texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

mteb = pytest.importorskip("mteb")
datasets = pytest.importorskip("datasets")
pytestmark = pytest.mark.filterwarnings("ignore")

from mteb.abstasks.retrieval import AbsTaskRetrieval  # noqa: E402
from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData  # noqa: E402
from mteb.mocks.mock_tasks.retrieval import (  # noqa: E402
    MockAny2AnyRetrievalI2TTask,
    MockAny2AnyRetrievalT2ITask,
    general_args,
)
from mteb.models.model_meta import ModelMeta  # noqa: E402
from PIL import Image  # noqa: E402

import isthmus  # noqa: E402
from isthmus import InputError  # noqa: E402
from isthmus.align import Centering, ScoreCalibration, ScoreStandardization  # noqa: E402
from isthmus.integrations.mteb import AlignedEncoder, AlignedSearch, gap  # noqa: E402

N, D = 300, 16


class DualEncoder:
    """A small encoder with random weights: pixels through one matrix, counts of letters through another."""

    def __init__(self) -> None:
        generator = np.random.default_rng(0)
        self.image, self.text = generator.normal(size=(2, 3 * N, D))
        self.text[:N] = self.image[:N] + 0.8 * generator.normal(size=(N, D))  # what shows item i and names item i
        self.offsets = {"image": 25 * np.eye(D)[0], "text": 25 * np.eye(D)[1]}

    def features(self, name: str, item: Any) -> np.ndarray:
        counts = np.zeros(3 * N)
        if name == "image":
            pixel = np.asarray(item.convert("RGB"))[0, 0].astype(int)
            counts[(pixel[0] + 256 * pixel[1]) % N] = 1
        else:
            for word in item.split():
                counts[int(word) % N if word.isdigit() else sum(map(ord, word)) % N] += 1
        return counts

    def encode(self, inputs: Any, **options: Any) -> np.ndarray:
        rows = []
        for batch in inputs:
            name = "image" if "image" in batch else "text"
            counts = np.stack([self.features(name, item) for item in batch[name]])
            rows.append(counts @ (self.image if name == "image" else self.text) + self.offsets[name])
        return np.concatenate(rows).astype("float32")

    def similarity(self, x: Any, y: Any) -> Any:
        import torch

        units = [torch.nn.functional.normalize(torch.atleast_2d(torch.as_tensor(rows)), dim=-1) for rows in (x, y)]
        return units[0] @ units[1].T

    def similarity_pairwise(self, x: Any, y: Any) -> Any:
        import torch

        return torch.nn.functional.cosine_similarity(torch.as_tensor(x), torch.as_tensor(y))

    @property
    def mteb_model_meta(self) -> Any:
        return ModelMeta.create_empty({"name": "test/dual", "revision": "1", "modalities": ["image", "text"]})


class Pictures(AbsTaskRetrieval):
    metadata = mteb.TaskMetadata(type="Any2AnyRetrieval", name="Pictures", main_score="ndcg_at_10", **general_args)
    metadata.modalities = sorted({"image", "text"})
    metadata.category = "t2i"

    def load_data(self, num_proc: int | None = None, **kwargs: Any) -> None:
        images = [Image.new("RGB", (4, 4), (number % 256, number // 256, 0)) for number in range(N)]
        self.dataset = {
            "default": {
                "test": RetrievalSplitData(
                    queries=datasets.Dataset.from_dict(
                        {"id": [f"q{n}" for n in range(N)], "text": [str(n) for n in range(N)]}
                    ),
                    corpus=datasets.Dataset.from_dict({"id": [f"d{n}" for n in range(N)], "image": images}),
                    relevant_docs={f"q{n}": {f"d{n}": 1} for n in range(N)},
                    top_ranked=None,
                )
            }
        }
        self.data_loaded = True


def rows() -> tuple[np.ndarray, np.ndarray]:
    encoder = DualEncoder()
    images = encoder.image[:N] + encoder.offsets["image"]
    texts = encoder.text[:N] + encoder.offsets["text"]
    return images.astype("float32"), texts.astype("float32")


def scores_of(model: Any, task: Any) -> dict[str, float]:
    result = mteb.evaluate(model, task, cache=None, co2_tracker=False, show_progress_bar=False)
    return result.task_results[0].scores["test"][0]


def expected(scores: np.ndarray) -> tuple[float, float]:
    """Return recall at 1 and NDCG at 10 of queries whose relevant document has their number."""
    rank = 1 + (scores > np.diag(scores)[:, None]).sum(axis=1)
    return float(np.mean(rank == 1)), float(np.mean((rank <= 10) / np.log2(1 + rank)))


def test_retrieval_equals_the_scores_of_the_correction() -> None:
    images, texts = rows()
    encoder = DualEncoder()
    unit = [table / np.linalg.norm(table, axis=1, keepdims=True) for table in (images, texts)]
    centering = Centering().fit(image=images, text=texts)
    calibration = ScoreCalibration().fit(image=images, text=texts)
    runs = {
        "raw": (encoder, unit[1] @ unit[0].T),
        "aligned": (AlignedEncoder(encoder, centering), centering.scores(texts, images, query="text", stored="image")),
        "corrected": (
            AlignedSearch(encoder, calibration),
            calibration.scores(texts, images, query="text", stored="image"),
        ),
        "corrected as vectors": (
            AlignedEncoder(encoder, calibration),
            calibration.scores(texts, images, query="text", stored="image"),
        ),
    }
    numbers = {}
    for name, (model, scores) in runs.items():
        got = scores_of(model, Pictures())
        numbers[name] = (got["recall_at_1"], got["ndcg_at_10"])
        np.testing.assert_allclose(numbers[name], expected(scores), atol=1e-5, err_msg=name)  # mteb rounds to 1e-5
    assert len({numbers[name] for name in ("raw", "aligned", "corrected")}) == 3


@pytest.mark.parametrize("task", [MockAny2AnyRetrievalI2TTask, MockAny2AnyRetrievalT2ITask])
def test_mock_tasks_of_the_library_run(task: Any) -> None:
    images, texts = rows()
    encoder = DualEncoder()
    centering = Centering().fit(image=images, text=texts)
    standardization = ScoreStandardization().fit(image=images, text=texts)
    for model in (AlignedEncoder(encoder, centering), AlignedSearch(encoder, standardization)):
        assert 0 <= scores_of(model, task())["ndcg_at_10"] <= 1
        assert model.mteb_model_meta.name.startswith("test/dual-")


def test_gap_is_that_of_the_rows_of_corpus_and_queries() -> None:
    images, texts = rows()
    result = gap(DualEncoder(), Pictures(), metrics="centroid_angle")
    direct = isthmus.measure(isthmus.Pairs(image=images, text=texts), metrics="centroid_angle")
    assert result.pairs["names"] == ["image", "text"] or tuple(result.pairs["names"]) == ("image", "text")
    assert result["centroid_angle"].value == pytest.approx(direct["centroid_angle"].value, rel=1e-6)


def test_score_correction_without_roles_is_refused_in_one_sentence() -> None:
    images, texts = rows()
    encoder = AlignedEncoder(DualEncoder(), ScoreStandardization().fit(image=images, text=texts))
    with pytest.raises(InputError, match="this task takes encoders only, without such roles; use a row map"):
        encoder.encode([{"text": ["1", "2"]}])
    with pytest.raises(InputError, match="got batches of text and image, expected one modality"):
        encoder.encode([{"text": ["1"], "image": [None]}])
    with pytest.raises(InputError, match="call index"):
        AlignedSearch(DualEncoder(), Centering().fit(image=images, text=texts)).search(None, top_k=3)


def test_aligned_encoder_keeps_the_prompts_of_the_roles() -> None:
    from mteb.types import PromptType

    class Prompted(DualEncoder):
        prompts = {"query": "7 ", "document": "9 "}  # noqa: RUF012

        def encode(self, inputs: Any, *, prompt_type: Any = None, **options: Any) -> np.ndarray:
            prompt = self.prompts[prompt_type.value]
            return super().encode([{"text": [prompt + text for text in batch["text"]]} for batch in inputs])

    model, generator = Prompted(), np.random.default_rng(1)
    rows = {"image": generator.normal(size=(40, D)) + 1, "text": generator.normal(size=(40, D)) - 1}
    correction = ScoreCalibration().fit(**rows)
    batches = [{"text": ["1 2", "3"]}, {"text": ["4"]}]
    for kind, role in ((PromptType.query, correction.query), (PromptType.document, correction.stored)):
        vectors = model.encode(batches, prompt_type=kind)
        aligned = AlignedEncoder(model, correction).encode(batches, prompt_type=kind)
        np.testing.assert_allclose(aligned, role(vectors, modality="text"), atol=1e-6)

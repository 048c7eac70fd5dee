"""A sentence-transformers model with a correction inside, on a small CLIP with random weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sentence_transformers")
pytest.importorskip("PIL")

import isthmus
from isthmus import InputError, integrations
from isthmus.align import Centering, ScoreCalibration, ScoreStandardization

N = 40


@pytest.fixture
def items(rng: np.random.Generator, tokenizer: Any) -> tuple[list[Any], list[str]]:
    from PIL import Image

    images = [Image.fromarray(rng.integers(0, 255, size=(24, 24, 3), dtype=np.uint8)) for _ in range(N)]
    texts = [" ".join(rng.choice(sorted(tokenizer.get_vocab()), size=4)) for _ in range(N)]
    return images, texts


@pytest.mark.slow
@pytest.mark.parametrize("aligner", [Centering(), ScoreStandardization(index="shared")], ids=["map", "scores"])
@pytest.mark.filterwarnings("ignore:index='shared'")
def test_saved_model_gives_corrected_vectors_without_isthmus(
    aligner: Any, clip: Path, items: tuple[list[Any], list[str]], tmp_path: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    images, texts = items
    model = SentenceTransformer(str(clip), device="cpu")
    raw = [model.encode(inputs, show_progress_bar=False) for inputs in (images, texts)]
    correction = aligner.fit(image=raw[0], text=raw[1])
    comparison = isthmus.compare(*raw, aligners=["Centering"], splits=2)
    corrected = integrations.with_correction(model, correction, comparison=comparison, licence="mit")
    got_query = corrected.encode_query(texts, show_progress_bar=False)
    got_document = corrected.encode_document(images, show_progress_bar=False)
    np.testing.assert_allclose(got_query, correction.query(raw[1], modality="text"), atol=2e-6)
    np.testing.assert_allclose(got_document, correction.stored(raw[0], modality="image"), atol=2e-6)
    assert corrected.similarity_fn_name == "dot"
    corrected.save_pretrained(str(tmp_path / "model"))
    np.save(tmp_path / "query.npy", got_query)
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert "license: mit" in card
    assert "Held-out pairs" in card
    assert "Centering" in card
    program = f"""
import sys
sys.modules["isthmus"] = None
import numpy as np
from sentence_transformers import SentenceTransformer
model = SentenceTransformer({str(tmp_path / "model")!r}, device="cpu")
rows = model.encode_query({texts!r}, show_progress_bar=False)
print(float(np.abs(rows - np.load({str(tmp_path / "query.npy")!r})).max()), model.similarity_fn_name)
"""
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert process.stdout.split() == ["0.0", "dot"], process.stderr


def test_documents_of_a_correction_with_a_bank_are_refused(clip: Path, items: tuple[list[Any], list[str]]) -> None:
    from sentence_transformers import SentenceTransformer

    images, texts = items
    model = SentenceTransformer(str(clip), device="cpu")
    raw = [model.encode(inputs, show_progress_bar=False) for inputs in (images, texts)]
    correction = ScoreCalibration().fit(image=raw[0], text=raw[1], paired=False)
    with pytest.raises(InputError, match="depend on a bank and have no layers"):
        integrations.with_correction(model, correction)
    asked = integrations.with_correction(model, correction, roles=["query"])
    got = asked.encode_query(texts, show_progress_bar=False)
    np.testing.assert_allclose(got, correction.query(raw[1], modality="text"), atol=2e-6)
    with pytest.raises(InputError, match="has the modality 'photo'"):
        integrations.with_correction(model, Centering().fit(photo=raw[0], text=raw[1]))

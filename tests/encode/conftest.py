"""Tiny randomly initialised models, saved as their libraries save them, and digits as pictures with captions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
WORDS = ["the", "number", "small", "bold", "thin", "picture", "of", "a", *NAMES]


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], list[str]]:
    """A folder of 24 PNGs, their names and a caption for each."""
    from PIL import Image
    from sklearn.datasets import load_digits

    folder = tmp_path_factory.mktemp("digits")
    data = load_digits()
    names, captions = [], []
    for i in range(24):
        name = f"digit_{i:02d}.png"
        pixels = np.kron(data.images[i] * 15.9, np.ones((3, 4))).astype(np.uint8)  # 24 x 32: not square
        Image.fromarray(pixels).save(folder / name)
        names.append(name)
        captions.append(f"a {'bold' if data.images[i].mean() > 4.9 else 'thin'} {NAMES[data.target[i]]}")
    return folder, names, captions


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """A word tokenizer with CLIP's frame: <start> words <end>, padded with <end>'s neighbour."""
    return make_tokenizer(["input_ids", "attention_mask"])


def make_tokenizer(inputs: list[str], start: str = "<s>", end: str = "</s>") -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate(["<pad>", start, end, "<unk>", *WORDS])}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}", special_tokens=[(start, 1), (end, 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", bos_token=start, eos_token=end, unk_token="<unk>",
        model_max_length=16, model_input_names=inputs,
    )  # fmt: skip


TOWER = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
TEXT = {**TOWER, "vocab_size": 4 + len(WORDS), "max_position_embeddings": 16, "bos_token_id": 1, "eos_token_id": 2}
PICTURE = {**TOWER, "image_size": 24, "patch_size": 8}


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Path:
    """A CLIPModel with its processor."""
    import torch
    from transformers import CLIPConfig, CLIPModel, CLIPProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    folder = tmp_path_factory.mktemp("clip")
    torch.manual_seed(0)
    config = CLIPConfig(text_config=TEXT | {"pad_token_id": 0}, vision_config=PICTURE, projection_dim=16)
    CLIPModel(config).save_pretrained(folder)
    images = CLIPImageProcessorPil(size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24})
    CLIPProcessor(images, tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SiglipModel with its processor, whose tokenizer gives no mask."""
    import torch
    from transformers import SiglipConfig, SiglipModel, SiglipProcessor
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    folder = tmp_path_factory.mktemp("siglip")
    torch.manual_seed(1)
    config = SiglipConfig(text_config=TEXT | {"pad_token_id": 0, "projection_size": 32}, vision_config=PICTURE)
    SiglipModel(config).save_pretrained(folder)
    images = SiglipImageProcessorPil(size={"height": 24, "width": 24})
    SiglipProcessor(images, make_tokenizer(["input_ids"])).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def clap(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Path:
    """A ClapModel of short sounds with its processor."""
    import torch
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, ClapProcessor

    folder = tmp_path_factory.mktemp("clap")
    torch.manual_seed(2)
    audio = {
        "window_size": 4, "num_mel_bins": 16, "spec_size": 64, "patch_size": 4, "patch_stride": [4, 4],
        "hidden_size": 32, "patch_embeds_hidden_size": 16, "projection_dim": 16, "depths": [1, 1],
        "num_attention_heads": [2, 2], "num_hidden_layers": 2, "aff_block_r": 2, "num_classes": 3,
    }  # fmt: skip
    text = {**TEXT, "pad_token_id": 0, "max_position_embeddings": 20, "projection_dim": 16}
    ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=16)).save_pretrained(folder)
    extractor = ClapFeatureExtractor(
        feature_size=16, sampling_rate=8000, hop_length=80, max_length_s=1, fft_window_size=256, frequency_max=4000,
        truncation="rand_trunc", padding="repeatpad",
    )  # fmt: skip
    ClapProcessor(extractor, tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def sentence(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> Path:
    """The same CLIP as sentence-transformers saves it."""
    from sentence_transformers import SentenceTransformer

    folder = tmp_path_factory.mktemp("sentence")
    SentenceTransformer(str(clip), device="cpu").save(str(folder))
    return folder


def write_json(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


OPEN_CLIP = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 24, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}


@pytest.fixture(scope="session")
def open_clip_model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tiny model of open_clip, and the .json configuration that made it."""
    open_clip = pytest.importorskip("open_clip", exc_type=ImportError)
    import torch

    config = write_json(tmp_path_factory.mktemp("architecture") / "tiny-open-clip.json", OPEN_CLIP)
    open_clip.add_model_config(config)
    torch.manual_seed(3)
    return open_clip.create_model("tiny-open-clip"), config


@pytest.fixture(scope="session")
def open_clip(tmp_path_factory: pytest.TempPathFactory, open_clip_model: Any) -> Path:
    """The folder of that model, as open_clip pushes it to a hub."""
    from safetensors.torch import save_file

    model, _ = open_clip_model
    folder = tmp_path_factory.mktemp("open_clip")
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    write_json(folder / "open_clip_config.json", {"model_cfg": OPEN_CLIP, "preprocess_cfg": {"size": [24, 24]}})
    return folder

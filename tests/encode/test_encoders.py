"""Encoders of all backends against direct calls of their models, and errors of invalid models."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from PIL import Image

from isthmus import InputError
from isthmus.encode import open_encoder

BERT = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module")
def images(digits: Any) -> list[Any]:
    return [Image.open(digits[0] / name).convert("RGB") for name in digits[1]]


@pytest.fixture(scope="module")
def captions(digits: Any) -> list[str]:
    # Lengths differ, so that padding matters; the last is longer than the context of 16.
    return ["one", "a bold picture of the small number three", *digits[2][:5], "bold " * 40]


def assert_close(actual: np.ndarray, rows: list[Any]) -> None:
    expected = torch.cat(rows).numpy()
    assert actual.dtype == np.float32
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, atol=1e-5, rtol=0)
    assert np.linalg.matrix_rank(actual - actual.mean(axis=0)) > 3  # rows depend on the input


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_transformers_encoder_equals_the_model_row_by_row(
    name: str, images: list[Any], captions: list[str], request: Any
) -> None:
    from transformers import AutoModel, AutoProcessor

    folder = request.getfixturevalue(name)
    encoder = open_encoder(str(folder), device="cpu")
    model, processor = AutoModel.from_pretrained(folder).eval(), AutoProcessor.from_pretrained(folder)
    padding = "max_length" if name == "siglip" else False
    with torch.no_grad():
        x = [model.get_image_features(**processor(images=i, return_tensors="pt")).pooler_output for i in images]
        y = [
            model.get_text_features(
                **processor.tokenizer(c, return_tensors="pt", padding=padding, truncation=True, max_length=16)
            ).pooler_output
            for c in captions
        ]
    assert_close(encoder.encode_media(encoder.prepare(images)), x)
    assert_close(encoder.encode_texts(captions), y)


@pytest.mark.parametrize("seconds", [0.4, 1.0, 1.7])
def test_clap_encoder_equals_the_model_row_by_row(
    seconds: float, clap: Path, captions: list[str], rng: np.random.Generator
) -> None:
    from transformers import ClapModel, ClapProcessor

    encoder = open_encoder(str(clap), device="cpu")
    assert (encoder.modality, encoder.sampling_rate) == ("audio", 8000)
    sounds = [
        (np.sin(np.arange(int(8000 * seconds)) * pitch) * rng.uniform(0.1, 0.9)).astype(np.float32)
        for pitch in rng.uniform(0.05, 1.5, size=8)
    ]
    model, processor = ClapModel.from_pretrained(clap).eval(), ClapProcessor.from_pretrained(clap)
    x, y = [], []
    with torch.no_grad():
        for sound in sounds:
            np.random.seed(0)  # noqa: NPY002 (long sounds are cropped at random)
            inputs = processor.feature_extractor(sound, sampling_rate=8000, return_tensors="pt")
            x.append(model.get_audio_features(**inputs).pooler_output)
        for caption in captions:
            inputs = processor.tokenizer(caption, return_tensors="pt", truncation=True, max_length=16)
            y.append(model.get_text_features(**inputs).pooler_output)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    assert_close(encoder.encode_media(encoder.prepare(sounds)), x)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert_close(encoder.encode_texts(captions), y)


def test_clap_encoder_with_fusion_is_independent_of_the_batch(
    clap: Path, tokenizer: Any, rng: np.random.Generator, tmp_path: Path
) -> None:
    """A sound has one vector, whatever else is in the batch; short ones are not taken for long."""
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, ClapProcessor

    config = ClapConfig.from_pretrained(clap)
    config.audio_config.update({"enable_fusion": True, "num_mel_bins": 64, "spec_size": 256})
    torch.manual_seed(4)
    ClapModel(config).save_pretrained(tmp_path)
    extractor = ClapFeatureExtractor(
        feature_size=64, sampling_rate=8000, hop_length=80, max_length_s=1, fft_window_size=512, frequency_max=4000,
        truncation="fusion",
    )  # fmt: skip
    ClapProcessor(extractor, tokenizer).save_pretrained(tmp_path)
    encoder = open_encoder(str(tmp_path), device="cpu")
    sounds = [rng.normal(size=n).astype(np.float32) for n in (3000, 20_000, 8000, 13_000, 8001)]
    inputs = encoder.prepare(sounds)
    assert inputs["is_longer"].ravel().tolist() == [False, True, False, True, False]
    assert_close(
        encoder.encode_media(inputs), [torch.from_numpy(encoder.encode_media(encoder.prepare([s]))) for s in sounds]
    )
    again = encoder.prepare(sounds[::-1])["input_features"].flip(0)
    assert torch.equal(again, inputs["input_features"])


def test_sentence_transformers_encoder_equals_the_model_row_by_row(
    sentence: Path, images: list[Any], captions: list[str]
) -> None:
    from sentence_transformers import SentenceTransformer

    encoder = open_encoder(str(sentence), device="cpu")
    assert encoder.backend == "sentence_transformers"
    model = SentenceTransformer(str(sentence), device="cpu")
    assert_close(
        encoder.encode_media(encoder.prepare(images)), [model.encode([i], convert_to_tensor=True) for i in images]
    )
    assert_close(encoder.encode_texts(captions), [model.encode([c], convert_to_tensor=True) for c in captions])


def test_sentence_transformers_router_encodes_each_modality_with_its_tower(
    clip: Path, tokenizer: Any, images: list[Any], captions: list[str], tmp_path: Path
) -> None:
    """Pictures through CLIP, texts through a table of word vectors of its width."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Router, StaticEmbedding, Transformer

    words = StaticEmbedding(tokenizer.backend_tokenizer, embedding_dim=16)
    routes = {(None, "text"): "text", (None, "image"): "image"}
    router = Router({"text": [words], "image": [Transformer(str(clip))]}, route_mappings=routes)
    SentenceTransformer(modules=[router], device="cpu").save(str(tmp_path))
    encoder = open_encoder(str(tmp_path), device="cpu")
    pictures = open_encoder(str(clip), device="cpu")
    expected = pictures.encode_media(pictures.prepare(images))
    np.testing.assert_allclose(encoder.encode_media(encoder.prepare(images)), expected, atol=1e-5)
    table = words.embedding.weight.detach().numpy()
    ids = [tokenizer.backend_tokenizer.encode(c, add_special_tokens=False).ids for c in captions]
    np.testing.assert_allclose(encoder.encode_texts(captions), [table[i].mean(axis=0) for i in ids], atol=1e-5)


def test_open_clip_encoder_equals_the_model_row_by_row(
    open_clip: Path, open_clip_model: Any, images: list[Any], captions: list[str]
) -> None:
    import open_clip as library

    encoder = open_encoder(str(open_clip), device="cpu")
    assert encoder.backend == "open_clip"
    model = open_clip_model[0].eval()
    transform = library.image_transform(24, is_train=False)
    tokenize = library.get_tokenizer("tiny-open-clip")
    with torch.no_grad():
        x = [model.encode_image(transform(i)[None]) for i in images]
        y = [model.encode_text(tokenize([c])) for c in captions]
    assert_close(encoder.encode_media(encoder.prepare(images)), x)
    assert_close(encoder.encode_texts(captions), y)


def test_open_clip_checkpoint_loads_into_its_architecture(
    open_clip_model: Any, captions: list[str], tmp_path: Path
) -> None:
    model, config = open_clip_model
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in model.state_dict().items()}}, tmp_path / "e.pt")
    for name in (str(config), "tiny-open-clip"):
        encoder = open_encoder(name, weights=tmp_path / "e.pt", device="cpu")
        np.testing.assert_allclose(
            encoder.encode_texts(captions), model.eval().encode_text(encoder.tokenizer(captions)).detach(), atol=1e-5
        )
    assert set(open_encoder(str(config), weights=tmp_path / "e.pt").source["files"]) == {"e.pt", "tiny-open-clip.json"}
    with pytest.raises(InputError, match="nothing: is no architecture of open_clip"):
        open_encoder("nothing", weights=tmp_path / "e.pt")
    with pytest.raises(InputError, match=r"no.pt: no such file; give the checkpoint"):
        open_encoder("tiny-open-clip", weights=tmp_path / "no.pt")


def test_encoder_out_of_memory_names_the_option(
    clip: Path, captions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: Any) -> None:
        raise torch.cuda.OutOfMemoryError("tried to allocate")

    encoder = open_encoder(str(clip), device="cpu")
    monkeypatch.setattr(encoder.model, "get_text_features", full)  # type: ignore[attr-defined]
    with pytest.raises(
        InputError, match=r"the batch does not fit into the memory of cpu; use a smaller one \(--batch\)"
    ):
        encoder.encode_texts(captions)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_encoder_in_half_precision_is_close_to_float32(
    dtype: str, clip: Path, images: list[Any], captions: list[str]
) -> None:
    whole, half = open_encoder(str(clip)), open_encoder(str(clip), dtype=dtype)
    for make in (lambda e: e.encode_media(e.prepare(images)), lambda e: e.encode_texts(captions)):
        a, b = make(whole), make(half)
        assert b.dtype == np.float32
        assert 0 < np.abs(a - b).max() < 0.05 * np.abs(a).max()


def test_open_encoder_by_cached_name_records_the_revision(
    clip: Path, captions: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--someone--tiny"
    (repository / "snapshots").mkdir(parents=True)
    (repository / "snapshots" / commit).symlink_to(clip)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    encoder = open_encoder("someone/tiny")
    np.testing.assert_array_equal(encoder.encode_texts(captions), open_encoder(str(clip)).encode_texts(captions))
    assert encoder.source["name"] == "someone/tiny"
    assert encoder.source["revision"] == commit
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(encoder.source["files"])


def test_open_encoder_with_invalid_model_raises(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants
    from transformers import BertConfig, BertModel

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    for name in ("nobody/nothing", "clip-ViT-B-99", "a b/c"):
        with pytest.raises(InputError, match="neither a folder nor a model in the cache .*nothing is downloaded"):
            open_encoder(name)
    with pytest.raises(InputError, match="holds no known model"):
        open_encoder(str(tmp_path))
    with pytest.raises(InputError, match=r"config.json: is a file, expected a model's folder"):
        open_encoder(str(clip / "config.json"))
    with pytest.raises(InputError, match="unknown backend 'transformer': did you mean .*'transformers'"):
        open_encoder(str(clip), backend="transformer")
    with pytest.raises(InputError, match="unknown dtype 'int8'"):
        open_encoder(str(clip), dtype="int8")
    with pytest.raises(InputError, match="unknown device 'gpu'"):
        open_encoder(str(clip), device="gpu")
    if not torch.backends.mps.is_available():
        with pytest.raises(InputError, match=r"the device 'mps' is not available; torch sees .*cpu"):
            open_encoder(str(clip), device="mps")

    BertModel(BertConfig(**BERT)).save_pretrained(tmp_path / "bert")
    with pytest.raises(InputError, match="is a BertModel, which has no get_text_features"):
        open_encoder(str(tmp_path / "bert"))

    cut = shutil.copytree(clip, tmp_path / "cut")
    (cut / "model.safetensors").write_bytes((clip / "model.safetensors").read_bytes()[:-100])
    with pytest.raises(InputError, match="cut: transformers cannot load the model .*save the whole"):
        open_encoder(str(cut))
    bare = shutil.copytree(clip, tmp_path / "bare")
    (bare / "processor_config.json").unlink()
    with pytest.raises(InputError, match="bare: "):
        open_encoder(str(bare))
    from safetensors.torch import load_file, save_file

    part = shutil.copytree(clip, tmp_path / "part")
    tensors = load_file(clip / "model.safetensors")
    del tensors["text_projection.weight"]
    save_file(tensors, part / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        InputError, match=r"1 weights of CLIPModel are not in the files, such as text_projection.weight"
    ):
        open_encoder(str(part))


def test_open_encoder_with_text_only_model_raises(tmp_path: Path, tokenizer: Any) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    words = StaticEmbedding(tokenizer.backend_tokenizer, embedding_dim=8)
    SentenceTransformer(modules=[words], device="cpu").save(str(tmp_path / "texts"))
    with pytest.raises(InputError, match="encodes text, expected images and texts"):
        open_encoder(str(tmp_path / "texts"))


def test_open_encoder_with_missing_weights_in_sentence_transformers_raises(
    sentence: Path, captions: list[str], tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file
    from transformers.utils import logging

    part = shutil.copytree(sentence, tmp_path / "part")
    tensors = load_file(sentence / "model.safetensors")
    del tensors["text_projection.weight"]
    save_file(tensors, part / "model.safetensors", metadata={"format": "pt"})
    verbosity = logging.get_verbosity()
    for asked in (verbosity, logging.ERROR):
        logging.set_verbosity(asked)
        try:
            with pytest.raises(InputError, match=r"would be random \(text_projection.weight\); save the whole model"):
                open_encoder(str(part), device="cpu")
        finally:
            logging.set_verbosity(verbosity)
    open_encoder(str(sentence), device="cpu")  # nothing of it stays


def test_open_encoder_with_missing_or_broken_library_raises(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from isthmus.encode import models

    (tmp_path / "broken_library.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(models.BACKENDS, "broken", ("nowhere", "broken_library"))
    with pytest.raises(
        InputError, match=r"broken_library cannot be imported \(operator .*torch, torchvision and broken"
    ):
        open_encoder(str(clip), backend="broken")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(
        InputError, match=r"the backend transformers needs the package transformers .*isthmus\[encoders\]"
    ):
        open_encoder(str(clip))


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_open_encoder_never_runs_code_of_a_model(
    clip: Path, sentence: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sprung = tmp_path / "sprung"
    code = f"import pathlib\npathlib.Path({str(sprung)!r}).touch()\nclass Module: pass\n"

    pickled = shutil.copytree(clip, tmp_path / "pickled")
    (pickled / "model.safetensors").unlink()
    torch.save({"logit_scale": Trap(sprung)}, pickled / "pytorch_model.bin")
    own = shutil.copytree(clip, tmp_path / "own")
    (own / "mine.py").write_text(code)
    config = json.loads((own / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Module", "AutoModel": "mine.Module"}}
    (own / "config.json").write_text(json.dumps(config))
    modules = shutil.copytree(sentence, tmp_path / "modules")
    (modules / "mine.py").write_text(code)
    (modules / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": "", "type": "mine.Module"}]))
    for folder in (pickled, own, modules):
        with pytest.raises(InputError, match=f"{folder.name}: .* cannot load"):
            open_encoder(str(folder))
        assert not sprung.exists()

    import sentence_transformers

    monkeypatch.setattr(sentence_transformers, "__version__", "5.4.1")
    with pytest.raises(InputError, match=r"sentence-transformers 5.4.1 runs code in the folder of a model; update it"):
        open_encoder(str(sentence))


def test_open_clip_checkpoint_with_pickled_code_raises(open_clip_model: Any, tmp_path: Path) -> None:
    torch.save({"state_dict": {"logit_scale": Trap(tmp_path / "sprung")}}, tmp_path / "e.pt")
    with pytest.raises(InputError, match=r"e.pt: open_clip cannot load the model"):
        open_encoder("tiny-open-clip", weights=tmp_path / "e.pt")
    assert not (tmp_path / "sprung").exists()

"""Roles, prompts and mixed lists of modalities, with small models of random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sentence_transformers")

from PIL import Image
from typer.testing import CliRunner

from isthmus import InputError, Modalities
from isthmus.cli import app
from isthmus.encode import Instructions, encode_mixed, open_encoder, open_items, run

PROMPTS = {"query": "the small ", "document": "a bold "}


@pytest.fixture(scope="module")
def prompted(sentence: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP of sentence-transformers with a prompt for each role."""
    from sentence_transformers import SentenceTransformer

    folder = tmp_path_factory.mktemp("prompted")
    model = SentenceTransformer(str(sentence), device="cpu", prompts=PROMPTS)
    model.save(str(folder))
    return folder


@pytest.fixture(scope="module")
def images(digits: Any) -> list[Any]:
    return [Image.open(digits[0] / name).convert("RGB") for name in digits[1][:4]]


def test_role_applies_the_prompt_of_the_model_and_a_prompt_replaces_it(prompted: Path) -> None:
    plain = open_encoder(str(prompted), device="cpu")
    for role, prompt in PROMPTS.items():
        asked = open_encoder(str(prompted), device="cpu", instructions=Instructions(text_role=role))
        np.testing.assert_allclose(asked.encode_texts(["zero"]), plain.encode_texts([f"{prompt}zero"]), atol=1e-6)
        own = open_encoder(
            str(prompted), device="cpu", instructions=Instructions(text_role=role, text_prompt="picture of ")
        )
        np.testing.assert_allclose(own.encode_texts(["zero"]), plain.encode_texts(["picture of zero"]), atol=1e-6)
        assert np.abs(asked.encode_texts(["zero"]) - plain.encode_texts(["zero"])).max() > 1e-3


def test_prompt_of_texts_serves_models_without_roles(clip: Path) -> None:
    plain = open_encoder(str(clip), device="cpu")
    prompted = open_encoder(str(clip), device="cpu", instructions=Instructions(text_prompt="a bold "))
    np.testing.assert_array_equal(prompted.encode_texts(["zero"]), plain.encode_texts(["a bold zero"]))
    with pytest.raises(InputError, match="roles and prompts of images need a model of sentence-transformers"):
        open_encoder(str(clip), device="cpu", instructions=Instructions(text_role="query"))
    with pytest.raises(InputError, match="unknown role 'question'"):
        Instructions(media_role="question")


@pytest.mark.parametrize("name", ["sentence", "clip"])
def test_mixed_list_keeps_its_order_and_writes_modalities_and_roles(
    name: str, images: list[Any], request: Any, tmp_path: Path
) -> None:
    has_roles = name == "sentence"
    instructions = Instructions("document", "query") if has_roles else Instructions()
    encoder = open_encoder(str(request.getfixturevalue(name)), device="cpu", instructions=instructions)
    items = ["zero", images[0], images[1], "a bold one", "two", images[2]]
    vectors = encode_mixed(encoder, items, batch=2)
    texts, media = [0, 3, 4], [1, 2, 5]
    for row in texts:
        np.testing.assert_allclose(vectors.rows[row], encoder.encode_texts([items[row]])[0], atol=1e-5)
    for row in media:
        expected = encoder.encode_media(encoder.prepare([items[row]]))[0]
        np.testing.assert_allclose(vectors.rows[row], expected, atol=1e-5)
    assert vectors.modalities[texts].tolist() == 3 * ["text"]
    assert vectors.modalities[media].tolist() == 3 * ["image"]
    assert vectors.roles.tolist()[:2] == (["query", "document"] if has_roles else ["", ""])
    assert Modalities(**vectors.by_modality()).names == ("text", "image")
    vectors.save(tmp_path / "mixed.parquet")
    from pyarrow import parquet

    table = parquet.read_table(tmp_path / "mixed.parquet")
    assert table["modality"].to_pylist() == vectors.modalities.tolist()
    assert table["role"].to_pylist() == vectors.roles.tolist()
    np.testing.assert_array_equal(np.stack(table["vector"].to_numpy()), vectors.rows)
    with pytest.raises(InputError, match="got 0 items"):
        encode_mixed(encoder, [])


def test_model_with_one_encode_for_sounds_and_texts_is_opened(clap: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    SentenceTransformer(str(clap), device="cpu").save(str(tmp_path / "sounds"))
    encoder = open_encoder(str(tmp_path / "sounds"), device="cpu")
    assert encoder.modality == "audio"
    sounds = [np.sin(np.arange(4_000) * step).astype("float32") for step in (0.1, 0.3)]
    vectors = encode_mixed(encoder, [sounds[0], "zero", sounds[1]])
    assert vectors.modalities.tolist() == ["audio", "text", "audio"]
    direct = open_encoder(str(clap), device="cpu")
    np.testing.assert_allclose(vectors.rows[1], direct.encode_texts(["zero"])[0], atol=1e-5)
    np.testing.assert_allclose(vectors.rows[[0, 2]], direct.encode_media(direct.prepare(sounds)), atol=1e-4)


@pytest.fixture(scope="module")
def omni(clip: Path, clap: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with one `encode` for texts, images and sounds, and a prompt for each role."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Router

    folder = tmp_path_factory.mktemp("omni")
    pictures, sounds = (SentenceTransformer(str(path), device="cpu")[0] for path in (clip, clap))
    routes = {(None, "text"): "pictures", (None, "image"): "pictures", (None, "audio"): "sounds"}
    router = Router({"pictures": [pictures], "sounds": [sounds]}, route_mappings=routes)
    SentenceTransformer(modules=[router], device="cpu", prompts=PROMPTS).save(str(folder))
    return folder


def test_mixed_list_of_three_modalities_is_encoded_by_one_model(
    omni: Path, clip: Path, clap: Path, images: list[Any]
) -> None:
    encoder = open_encoder(str(omni), device="cpu", instructions=Instructions("document", "query"))
    assert encoder.media == ("image", "audio")
    sound = np.sin(np.arange(4_000) / 10).astype("float32")
    vectors = encode_mixed(encoder, ["zero", sound, images[0], "one", sound[::-1].copy()])
    assert vectors.modalities.tolist() == ["text", "audio", "image", "text", "audio"]
    assert vectors.roles.tolist() == ["query", "document", "document", "query", "document"]
    assert {name: len(rows) for name, rows in vectors.by_modality().items()} == {"text": 2, "audio": 2, "image": 1}
    pictures, sounds = open_encoder(str(clip), device="cpu"), open_encoder(str(clap), device="cpu")
    np.testing.assert_allclose(vectors.rows[0], pictures.encode_texts(["the small zero"])[0], atol=1e-5)
    np.testing.assert_allclose(vectors.rows[2], pictures.encode_media(pictures.prepare(images[:1]))[0], atol=1e-5)
    np.testing.assert_allclose(vectors.rows[1], sounds.encode_media(sounds.prepare([sound]))[0], atol=1e-4)
    with pytest.raises(InputError, match="the model encodes image, audio, text, and not 'video'"):
        open_encoder(str(omni), device="cpu", media="video")


def test_encode_of_a_model_of_three_modalities_takes_images_or_sounds(
    omni: Path, digits: tuple[Path, list[str], list[str]], tmp_path: Path
) -> None:
    from scipy.io import wavfile

    (tmp_path / "sounds").mkdir()
    for number in range(3):
        tone = np.sin(np.arange(4_000) * (number + 1) / 10).astype("float32")
        wavfile.write(tmp_path / "sounds" / f"{number}.wav", 8_000, tone)
    (tmp_path / "sounds.csv").write_text("audio,caption\n0.wav,zero\n1.wav,one\n2.wav,two\n")
    (tmp_path / "images.csv").write_text(
        "\n".join(["image,caption", *(f"{name},{text}" for name, text in zip(*digits[1:], strict=True))])
    )
    for name, folder, media in (("image", digits[0], []), ("audio", tmp_path / "sounds", ["--media", "audio"])):
        captions = tmp_path / ("images.csv" if name == "image" else "sounds.csv")
        words = ["encode", omni, folder, "--captions", captions, "-o", tmp_path / name, "--device", "cpu", *media]
        words += ["--media-role", "document", "--text-role", "query"]
        done = CliRunner().invoke(app, list(map(str, words)))
        assert done.exit_code == 0, done.output
        record = json.loads((tmp_path / name / "encode.json").read_text())
        assert record["rows"] == {name: {"role": "document", "prompt": None}, "text": {"role": "query", "prompt": None}}
        folder_name = "audio_emb" if media else "img_emb"
        assert np.load(tmp_path / name / folder_name / f"{folder_name}_0.npy").shape[1] == 16
    words = ["encode", omni, tmp_path / "sounds", "--captions", captions, "-o", tmp_path / "none", "--device", "cpu"]
    refused = CliRunner().invoke(app, list(map(str, words)))
    assert "give media='audio' (--media audio)" in str(refused.exception)


def test_record_of_a_run_holds_modalities_roles_and_prompts(
    prompted: Path, digits: tuple[Path, list[str], list[str]], tmp_path: Path
) -> None:
    folder, names, captions = digits
    lines = [f"{name},{caption}" for name, caption in zip(names[:4], captions, strict=False)]
    (tmp_path / "captions.csv").write_text("\n".join(["image,caption", *lines]))
    items = open_items(folder, captions=tmp_path / "captions.csv")
    encoder = open_encoder(
        str(prompted), device="cpu", instructions=Instructions("document", "query", text_prompt="the number ")
    )
    encoded = run(encoder, items, tmp_path / "out")
    record = json.loads((tmp_path / "out" / "encode.json").read_text())
    assert record["rows"] == {
        "image": {"role": "document", "prompt": None},
        "text": {"role": "query", "prompt": "the number "},
    }
    assert record["preprocessing"]["prompts"] == PROMPTS
    rows = np.load(encoded.y / "text_emb_0.npy")
    np.testing.assert_allclose(rows, encoder.encode_texts(captions[:4]), atol=1e-5)
    other = open_encoder(str(prompted), device="cpu", instructions=Instructions("document", "document"))
    with pytest.raises(InputError, match="rows"):
        run(other, items, tmp_path / "out")

"""Small random models of the architectures of omni embedders: one `encode` for texts, images and sounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from encode.conftest import WORDS
from isthmus import InputError
from isthmus.encode import Instructions, encode_mixed, open_encoder

transformers = pytest.importorskip("transformers")
SentenceTransformer = pytest.importorskip("sentence_transformers").SentenceTransformer
PROMPTS = {"query": "the small ", "document": "a picture of "}
RATE = 16_000
TEXT = {
    **{"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2},
    **{"num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 4096, "pad_token_id": 0},
}


def tokenizer(special: list[str], **names: str) -> Any:
    """Return a tokenizer of words whose first tokens are special ones."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    raw = Tokenizer(models.WordLevel({word: i for i, word in enumerate([*special, *WORDS])}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.add_special_tokens(special)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", model_max_length=4096,
        padding_side="left", extra_special_tokens=names,
    )  # fmt: skip


def save_embedding_gemma(folder: Path) -> Any:
    """Save a model of the architecture of EmbeddingGemma 2 and return its first module."""
    from sentence_transformers.sentence_transformer.modules import Transformer
    from transformers.models.embedding_gemma2.video_processing_embedding_gemma2 import EmbeddingGemma2VideoProcessor
    from transformers.models.gemma4.feature_extraction_gemma4 import Gemma4AudioFeatureExtractor
    from transformers.models.gemma4.image_processing_pil_gemma4 import Gemma4ImageProcessorPil

    special = ["<pad>", "<eos>", "<unk>", "<i>", "<boi>", "<eoi>", "<a>", "<boa>", "<eoa>", "<|video|>"]
    names = dict(zip(("image", "boi", "eoi", "audio", "boa", "eoa"), special[3:9], strict=True))
    words = tokenizer(special, **{f"{name}_token": token for name, token in names.items()})
    tower = {name: value for name, value in TEXT.items() if name.startswith(("hidden", "inter", "num", "head"))}
    text = {"vocab_size": len(words), "hidden_size_per_layer_input": 16, "embedding_dim": 24, "global_head_dim": 16}
    pixels = {"patch_size": 4, "pooling_kernel_size": 2}
    audio = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "output_proj_dims": 32}
    config = transformers.EmbeddingGemma2Config(
        text_config=TEXT | text | {"layer_types": ["sliding_attention", "full_attention"]},
        vision_config=tower | pixels | {"model_type": "gemma4_vision", "position_embedding_size": 256},
        audio_config=audio | {"model_type": "gemma4_audio", "subsampling_conv_channels": (128, 4)},
        image_token_id=3, boi_token_id=4, eoi_token_id=5, audio_token_id=6, boa_token_id=7, eoa_token_index=8,
        video_token_id=9,
    )  # fmt: skip
    transformers.EmbeddingGemma2Model(config).save_pretrained(folder)
    pixels["max_soft_tokens"] = 70
    processors = Gemma4ImageProcessorPil(**pixels), words, EmbeddingGemma2VideoProcessor(**pixels)
    transformers.EmbeddingGemma2Processor(
        Gemma4AudioFeatureExtractor(), *processors, image_seq_length=70
    ).save_pretrained(folder)
    return Transformer(str(folder))


#: A conversation with one placeholder for each image and sound.
CHAT = (
    "{% for m in messages %}{{ m['role'] }} {% if m['content'] is string %}{{ m['content'] }}{% else %}"
    "{% for c in m['content'] %}{% if c['type'] == 'image' %}<bov><i><eov>{% elif c['type'] == 'audio' %}<boa><a><eoa>"
    "{% else %}{{ c['text'] }} {% endif %}{% endfor %}{% endif %}<eos>{% endfor %}"
)


def save_qwen_omni(folder: Path) -> Any:
    """Save the thinker of a model of the architecture of Qwen2.5-Omni and return its first module."""
    from sentence_transformers.sentence_transformer.modules import Transformer
    from transformers.models.qwen2_5_omni.modeling_qwen2_5_omni import Qwen2_5OmniThinkerForConditionalGeneration
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
    from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

    special = ["<pad>", "<eos>", "<unk>", "<i>", "<bov>", "<eov>", "<a>", "<boa>", "<eoa>", "<v>", "user"]
    names = dict(
        zip(
            ("image", "vision_bos", "vision_eos", "audio", "audio_bos", "audio_eos", "video"),
            special[3:10],
            strict=True,
        )
    )
    words = tokenizer(special, **{f"{name}_token": token for name, token in names.items()})
    text = {name: value for name, value in TEXT.items() if name != "head_dim"}
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]}
    picture = {"depth": 1, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "patch_size": 4}
    sound = {
        "num_mel_bins": 16,
        "encoder_layers": 1,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 48,
        "d_model": 32,
    }
    config = transformers.Qwen2_5OmniThinkerConfig(
        text_config=text | {"vocab_size": len(words), "rope_parameters": rope},
        vision_config=picture | {"window_size": 16, "out_hidden_size": 32, "fullatt_block_indexes": [0]},
        audio_config=sound | {"output_dim": 32, "n_window": 50, "max_source_positions": 300},
        image_token_index=3, vision_start_token_id=4, vision_end_token_id=5, audio_token_index=6,
        audio_start_token_id=7, audio_end_token_id=8, video_token_index=9, user_token_id=10,
    )  # fmt: skip
    Qwen2_5OmniThinkerForConditionalGeneration(config).save_pretrained(folder)
    transformers.Qwen2_5OmniProcessor(
        Qwen2VLImageProcessorPil(patch_size=4, min_pixels=256, max_pixels=1024), Qwen2VLVideoProcessor(patch_size=4),
        transformers.WhisperFeatureExtractor(feature_size=16, chunk_length=2), words, chat_template=CHAT,
    ).save_pretrained(folder)  # fmt: skip
    states = {"method": "forward", "method_output_name": ["hidden_states", -1]}
    modalities = dict.fromkeys(("message", "text", "image", "audio"), states)
    return Transformer(
        str(folder), transformer_task="any-to-any", modality_config=modalities, module_output_name="token_embeddings"
    )


MODELS = {"EmbeddingGemma2Model": save_embedding_gemma, "Qwen2_5OmniProcessor": save_qwen_omni}


@pytest.fixture(scope="module", params=list(MODELS))
def omni(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of this architecture, saved by sentence-transformers with a pooling layer and prompts."""
    import torch
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

    if not hasattr(transformers, request.param):
        pytest.skip(f"transformers {transformers.__version__} has no {request.param}")
    folder = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(0)
    module = MODELS[request.param](folder / "base")
    modules = [module, Pooling(module.get_embedding_dimension(), "mean"), Normalize()]
    SentenceTransformer(modules=modules, device="cpu", prompts=PROMPTS).save(str(folder / "saved"))
    return folder


def test_mixed_list_of_an_omni_embedder_equals_the_model_item_by_item(
    omni: Path, rng: np.random.Generator, capfd: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    encoder = open_encoder(str(omni / "saved"), device="cpu", instructions=Instructions("document", "query"))
    assert "[transformers]" not in capfd.readouterr().err
    assert encoder.media == ("image", "audio")
    images = [Image.fromarray(rng.integers(0, 255, (32, 32 + 8 * i, 3), dtype=np.uint8)) for i in range(3)]
    sounds = [np.sin(np.arange(8_000 + 1_000 * i) / (9 + i)).astype("float32") for i in range(2)]
    items: list[Any] = [images[0], "a zero", sounds[0], images[1], images[2], "two", sounds[1]]
    vectors = encode_mixed(encoder, items)
    assert vectors.modalities.tolist() == ["image", "text", "audio", "image", "image", "text", "audio"]
    model = SentenceTransformer(str(omni / "saved"), device="cpu", local_files_only=True)
    for item, row in zip(items, vectors.rows, strict=True):
        encode = model.encode_query if isinstance(item, str) else model.encode_document
        one = {"audio": {"array": item, "sampling_rate": RATE}} if isinstance(item, np.ndarray) else item
        np.testing.assert_allclose(row, encode([one])[0], atol=2e-6)
    assert len({row.tobytes() for row in vectors.rows}) == len(items)


@pytest.mark.parametrize("omni", ["EmbeddingGemma2Model"], indirect=True)
def test_omni_model_without_a_pooling_layer_and_input_that_it_refuses_get_one_sentence(omni: Path) -> None:
    with pytest.raises(InputError, match="base: .*a model with a pooling layer that sentence-transformers has saved"):
        open_encoder(str(omni / "base"), device="cpu")
    encoder = open_encoder(str(omni / "saved"), device="cpu")
    with pytest.raises(InputError, match="cannot encode images with this model .*update sentence-transformers"):
        encoder.encode_media([np.zeros(3, dtype="complex64")])

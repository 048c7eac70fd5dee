"""The losses in the loops of others: open_clip and sentence-transformers."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from isthmus import InputError, train  # noqa: E402


def open_clip_losses() -> Any:
    """open_clip's file of losses, which needs torch alone (the package also needs torchvision and timm)."""
    package = importlib.util.find_spec("open_clip")
    if package is None or package.origin is None:
        pytest.skip("open_clip is not installed")
    spec = importlib.util.spec_from_file_location("open_clip_loss", Path(package.origin).with_name("loss.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def features(n: int = 32) -> dict[str, Any]:
    """What a model of open_clip returns in training, without and with the bias of SigLIP."""
    torch.manual_seed(0)
    x, y = (nn.functional.normalize(torch.randn(n, 8)) for _ in range(2))
    return {
        "image_features": x.requires_grad_(),
        "text_features": y.requires_grad_(),
        "logit_scale": torch.tensor(12.0, requires_grad=True),
        "logit_bias": torch.tensor(-3.0, requires_grad=True),
    }


@pytest.mark.parametrize(
    ("ours", "theirs"), [("InfoNCE", "ClipLoss"), ("Sigmoid", "SigLipLoss")], ids=["ClipLoss", "SigLipLoss"]
)
def test_loss_equals_its_open_clip_counterpart(ours: str, theirs: str) -> None:
    peer = getattr(open_clip_losses(), theirs)()
    found, expected = features(), features()
    value = train.get(ours)()(**found, output_dict=True)
    reference = peer(**expected, output_dict=True)
    assert value.keys() == reference.keys()
    torch.testing.assert_close(value["contrastive_loss"], reference["contrastive_loss"])
    value["contrastive_loss"].backward()
    reference["contrastive_loss"].backward()
    for name in ("image_features", "text_features", "logit_scale", "logit_bias"):
        torch.testing.assert_close(found[name].grad, expected[name].grad, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("name", sorted(train.registry()))
def test_loss_in_the_loop_of_open_clip_has_finite_gradients(name: str) -> None:
    """Its loop hands over what the model returned and adds up the values of the dictionary, or those that end in
    _loss, and logs each with .item(); with accumulation it cats the features and hands over the scale apart."""
    loss = train.registry()[name].build()
    output = features()
    losses = loss(**output, output_dict=True)
    assert all(key.endswith("_loss") and isinstance(value.item(), float) for key, value in losses.items())
    assert torch.equal(sum(losses.values()), sum(v for k, v in losses.items() if k.endswith("_loss")))
    sum(losses.values()).backward()
    assert all(torch.isfinite(value.grad).all() for value in output.values())
    del output["logit_bias"]
    parts = [output.pop(key) for key in ("image_features", "text_features")]
    doubled = [torch.cat([part.detach(), part]) for part in parts]
    assert torch.isfinite(sum(loss(*doubled, **output, output_dict=True).values()))


class Embedder(nn.Module):
    """A model as sentence-transformers' losses see it."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(40, 6)

    def forward(self, column: dict[str, Any]) -> dict[str, Any]:
        return {"sentence_embedding": self.table(column["input_ids"]).mean(1)}


def columns(count: int) -> list[dict[str, Any]]:
    torch.manual_seed(1)
    return [{"input_ids": torch.randint(40, (5, 3))} for _ in range(count)]


def test_sentence_pairs_normalises_and_weights_the_loss() -> None:
    model, loss = Embedder(), train.InfoNCE() + 0.5 * train.TruePairAlignment()
    terms = train.SentencePairs(model, loss, temperature=0.1)(columns(2), None)
    x, y = (nn.functional.normalize(model(column)["sentence_embedding"]) for column in columns(2))
    torch.testing.assert_close(sum(terms.values()), loss(x, y, 10.0))
    learned = train.SentencePairs(model, loss, temperature=train.LearnedTemperature(0.1))
    assert "temperature.log_scale" in dict(learned.named_parameters())
    with pytest.raises(InputError, match="got 3 columns, expected two"):
        train.SentencePairs(model, loss)(columns(3))

"""The monitor inside the loops of the real libraries."""

from __future__ import annotations

import csv
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from isthmus import (  # noqa: E402
    InputError,
    Moments,
    integrations,
)
from isthmus.integrations.features import find_features  # noqa: E402
from isthmus.train import GapMonitor, GapSnapshot  # noqa: E402

D = 6


def rows(seed: int, n: int = 40) -> tuple[Any, Any]:
    generator = np.random.default_rng(seed)
    latent = generator.normal(size=(n, D))
    x, y = (latent + 4 * np.eye(D)[i] for i in (0, 1))
    return torch.tensor(x).float(), torch.tensor(y).float()


def read(batches: list[tuple[Any, Any]]) -> dict[str, float]:
    x, y = (torch.cat([batch[side] for batch in batches]).detach().numpy() for side in (0, 1))
    return GapSnapshot.of(Moments.of(x, y)).to_dict()


def test_integrations_on_attribute_access_load_no_framework() -> None:
    code = (
        "import sys, isthmus.integrations as a; a.lightning_callback; a.trainer_callback; a.evaluator; a.metric; "
        "print({'lightning', 'transformers', 'sentence_transformers', 'torchmetrics'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("package", "adapter", "arguments"),
    [
        ("lightning", "lightning_callback", (None,)),
        ("transformers", "trainer_callback", (None,)),
        ("sentence_transformers", "evaluator", ([1, 2], [1, 2])),
        ("torchmetrics", "metric", (4,)),
    ],
)
def test_integration_without_its_framework_raises_with_command(
    package: str, adapter: str, arguments: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    named = package.replace("_", "-")
    with pytest.raises(InputError, match=f"{adapter} needs {named}, which is not installed: pip install {named}"):
        getattr(integrations, adapter)(*arguments)


def test_find_features_with_known_names_returns_the_pair() -> None:
    x, y = rows(0)
    assert find_features({"audio_embeds": x, "text_embeds": y, "loss": 1})[0] is x
    assert find_features({"image_embeds": None, "text_embeds": y}) is None
    assert find_features(None) is None


def test_lightning_callback_logs_snapshots(tmp_path: Path) -> None:
    lightning = pytest.importorskip("lightning")
    from lightning.pytorch.loggers import CSVLogger

    seen: list[tuple[Any, Any]] = []

    class Model(lightning.LightningModule):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.turn = torch.nn.Linear(D, D)

        def training_step(self, batch: Any, number: int) -> Any:
            x, y = self.turn(batch[0]), batch[1]
            seen.append((x.detach(), y))
            return {"loss": (x - y).square().mean(), "image_features": x, "text_features": y}

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.01)

    monitor = GapMonitor(every=3, window=2)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*rows(1, 120)), batch_size=40)
    logger = CSVLogger(tmp_path)

    def fit(callback: Any) -> None:
        trainer = lightning.Trainer(
            max_epochs=2, logger=logger, callbacks=[callback], accelerator="cpu", log_every_n_steps=1,
            enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
        )  # fmt: skip
        trainer.fit(Model(), loader)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library: few workers, few batches
        fit(integrations.lightning_callback(monitor))
        assert [reading.step for reading in monitor.snapshots] == [1, 3, 6]
        assert monitor.last.to_dict() == pytest.approx(read(seen[4:6]), abs=1e-4)
        with (Path(logger.log_dir) / "metrics.csv").open() as file:
            logged = [float(row["gap/angle"]) for row in csv.DictReader(file) if row.get("gap/angle")]
        logged = list(dict.fromkeys(logged))  # Lightning repeats a number in the line of the next step
        assert logged == pytest.approx([reading.gap.value for reading in monitor.snapshots], abs=1e-3)
        chosen = GapMonitor(every=1, window=1)
        fit(integrations.lightning_callback(chosen, features=lambda module, outputs, batch: tuple(batch)))
        assert chosen.snapshots[0].n == 40
        with pytest.raises(InputError, match="training_step returned no features"):
            fit(integrations.lightning_callback(chosen, features=lambda *_: None))


def small_clip() -> Any:
    transformers = pytest.importorskip("transformers")
    text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "vocab_size": 30, "max_position_embeddings": 8, "eos_token_id": 29, "bos_token_id": 0}  # fmt: skip
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
              "image_size": 8, "patch_size": 4}  # fmt: skip
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=D)
    return transformers.CLIPModel(config)


def test_trainer_callback_reads_features_of_the_model(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    generator = torch.Generator().manual_seed(0)
    items = [
        {
            "pixel_values": torch.randn(3, 8, 8, generator=generator),
            "input_ids": torch.cat([torch.randint(1, 29, (7,), generator=generator), torch.tensor([29])]),
        }
        for _ in range(64)
    ]

    class Trainer(transformers.Trainer):  # type: ignore[misc,name-defined]
        def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
            outputs = model(**inputs, return_loss=True)
            seen.append((outputs.image_embeds.detach(), outputs.text_embeds.detach()))
            return (outputs.loss, outputs) if return_outputs else outputs.loss

    seen: list[tuple[Any, Any]] = []
    monitor = GapMonitor(every=2, window=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library: no accelerator to pin memory for
        arguments = transformers.TrainingArguments(
            output_dir=str(tmp_path), max_steps=4, per_device_train_batch_size=16, report_to=[], use_cpu=True,
            logging_strategy="no", save_strategy="no", disable_tqdm=True, remove_unused_columns=False,
        )  # fmt: skip
        model = small_clip()
        trainer = Trainer(
            model=model, args=arguments, train_dataset=items, callbacks=[integrations.trainer_callback(monitor)]
        )
        trainer.train()
    assert [reading.step for reading in monitor.snapshots] == [2, 4]
    assert monitor.last.to_dict() == pytest.approx(read(seen[2:]), abs=1e-4, rel=1e-3)
    logged = [line for line in trainer.state.log_history if "gap/distance" in line]
    assert [line["step"] for line in logged] == [2, 4]
    before = monitor.step
    model.train()
    model(**{key: torch.stack([item[key] for item in items]) for key in items[0]})
    assert monitor.step == before  # the hook is gone


def small_sentence_model(folder: Path) -> Any:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    transformers = pytest.importorskip("transformers")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "c", "d", "e", "f", "g", "h"]
    (folder / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    torch.manual_seed(0)
    transformers.BertModel(config).save_pretrained(folder)
    from sentence_transformers import models

    return sentence_transformers.SentenceTransformer(
        modules=[models.Transformer(str(folder)), models.Pooling(16)], device="cpu"
    )


def test_evaluator_measures_held_out_pairs(tmp_path: Path) -> None:
    x = ["a b", "c d", "e f", "g h", "a c e", "b d f"]
    y = ["b a", "d c c", "f e", "h g a", "e c a", "f d b"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library
        (tmp_path / "model").mkdir()
        model = small_sentence_model(tmp_path / "model")
        sides = [np.asarray(model.encode(side)) for side in (x, y)]
        judge = integrations.evaluator(x, y, name="dev")
        found = judge(model, output_path=str(tmp_path), epoch=1, steps=50)
        again = judge(model, output_path=str(tmp_path), epoch=2, steps=100)
    expected = GapSnapshot.of(Moments.of(*sides)).to_dict()
    assert found == pytest.approx({f"dev_{k.replace('/', '_')}": v for k, v in expected.items()}, abs=1e-4)
    assert again == found
    assert judge.primary_metric == "dev_gap_budget_total"
    assert judge.primary_metric in found
    assert judge.greater_is_better is False
    with (tmp_path / "gap_evaluation_dev_results.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [(line["epoch"], line["steps"]) for line in lines] == [("1", "50"), ("2", "100")]
    assert float(lines[0]["gap_distance"]) == pytest.approx(found["dev_gap_distance"])
    with pytest.raises(InputError, match="got 6 and 5 items, expected two or more pairs"):
        integrations.evaluator(x, y[:5])


def test_metric_equals_the_snapshot() -> None:
    pytest.importorskip("torchmetrics")
    metric = integrations.metric(D, names=("image", "text"))
    batches = [rows(0), rows(1), rows(2)]
    with pytest.raises(InputError, match="got 0 pairs"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchmetrics warns that update was not called
        metric.compute()
    halves = [integrations.metric(D) for _ in range(2)]
    for number, batch in enumerate(batches):
        metric.update(*batch)
        halves[number % 2].update(*batch)
    found = {key: value.item() for key, value in metric.compute().items()}
    assert found == pytest.approx(read(batches), abs=1e-4)
    # What torchmetrics does over processes: states are added.
    halves[0].sums = halves[0].sums + halves[1].sums
    assert {k: v.item() for k, v in halves[0].compute().items()} == pytest.approx(found, abs=1e-9)
    metric.reset()
    with pytest.raises(InputError, match=r"got features of shape \(3, 5\), expected width 6"):
        metric.update(torch.ones(3, 5), torch.ones(3, 5))

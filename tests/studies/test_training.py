"""Trainings of the study: settings, encoders, objectives and recipe."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from isthmus import InputError  # noqa: E402
from isthmus.linalg.subspaces import principal_angles  # noqa: E402
from isthmus.studies import demo_training as demo  # noqa: E402
from isthmus.studies.training import Setting, train_setting, trainer  # noqa: E402
from isthmus.studies.training.claims import evaluate_claims  # noqa: E402
from isthmus.studies.training.encoders import DualEncoder  # noqa: E402
from isthmus.studies.training.objectives import Objective, loss_names  # noqa: E402


def features(setting: Setting) -> tuple[np.ndarray, np.ndarray, DualEncoder]:
    data = trainer.load_split(0)
    encoder = DualEncoder(setting)
    with torch.no_grad():
        x, y = encoder(data.pictures[:300], data.captions[:300])
    return x.double().numpy(), y.double().numpy(), encoder


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"regime": "afine"}, "unknown regime 'afine': did you mean 'affine'"),
        ({"regime": "affine"}, "give a rank with every regime except 'free'"),
        ({"rank": 4}, "give a rank with every regime except 'free'"),
        ({"regime": "subspace", "rank": 64}, "rank 64, expected 2 to 63 of 64 dimensions"),
        ({"regime": "affine", "rank": 63}, "rank 63, expected 2 to 62"),
        ({"regime": "subspace", "rank": 4, "angle": 200.0}, "angle 200, expected 0 to 180"),
        ({"shuffled_fraction": 1.5}, "shuffled_fraction=1.5, expected a fraction"),
        ({"caption_dropout": 5}, "caption_dropout=5, expected 0 to 4 attributes"),
    ],
)
def test_setting_with_invalid_values_raises(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Setting(**options)


def test_setting_key_lists_changed_values_only() -> None:
    assert json.loads(Setting(temperature="0.2", seed=3).key) == {"temperature": "0.2", "seed": 3}
    assert Setting().key == "{}"


@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0])
def test_encoder_in_subspace_regime_shares_all_directions_but_one(angle: float) -> None:
    x, y, encoder = features(Setting(regime="subspace", rank=5, angle=angle))
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1, atol=1e-5)
    bases = [np.linalg.svd(side, full_matrices=False)[2][:5].T for side in (x, y)]
    for side in (x, y):
        assert np.linalg.svd(side, compute_uv=False)[5] < 1e-4
    angles = np.sort(principal_angles(*bases).degrees)
    np.testing.assert_allclose(angles, [0, 0, 0, 0, angle], atol=0.05)
    assert encoder.shared_basis is not None
    np.testing.assert_allclose(encoder.shared_basis @ encoder.axes.T, 0, atol=1e-12)


def test_encoder_in_affine_regime_adds_axis_and_shared_rows() -> None:
    x, y, encoder = features(Setting(regime="affine", rank=6, angle=40.0))
    for side, axis in zip((x, y), encoder.axes, strict=True):
        np.testing.assert_allclose(np.linalg.norm(side, axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(side @ axis, np.sqrt(1 - 0.49), atol=1e-5)
        part = side - np.sqrt(1 - 0.49) * axis
        np.testing.assert_allclose(part, part @ encoder.shared_basis.T @ encoder.shared_basis, atol=1e-5)
    assert np.degrees(np.arccos(encoder.axes[0] @ encoder.axes[1])) == pytest.approx(40)


def test_encoder_penalty_is_the_squared_deviation_of_the_mean_lengths() -> None:
    x, y, encoder = features(Setting(regime="mean_length_penalty", rank=6, angle=40.0))
    lengths = [np.sqrt(sum(float(c) ** 2 for c in side.mean(0))) for side in (x, y)]
    slow = 10 * sum((length - 0.5) ** 2 for length in lengths)
    assert float(encoder.penalty(torch.tensor(x), torch.tensor(y))) == pytest.approx(slow)
    assert float(features(Setting())[2].penalty(torch.tensor(x), torch.tensor(y))) == 0


@pytest.mark.parametrize("initial_cone_angle", [0.0, 90.0, 180.0])
def test_encoder_with_initial_cones_starts_at_their_angle(initial_cone_angle: float) -> None:
    x, y, _ = features(Setting(initial_cone_angle=initial_cone_angle))
    a, b = x.mean(0), y.mean(0)
    lengths = np.linalg.norm(a), np.linalg.norm(b)
    assert min(lengths) > 0.98
    assert np.degrees(np.arccos(a @ b / lengths[0] / lengths[1])) == pytest.approx(initial_cone_angle, abs=6)


def test_assign_captions_with_fraction_permutes_it_without_fixed_points() -> None:
    rows = trainer.load_split(0).train_rows
    partners = trainer.assign_captions(Setting(shuffled_fraction=0.25), rows)
    assert sorted(partners) == sorted(rows)
    assert np.count_nonzero(partners != rows) == 300
    np.testing.assert_array_equal(trainer.assign_captions(Setting(), rows), rows)


def test_load_split_with_caption_dropout_has_fewer_distinct_captions() -> None:
    whole, fewer, least = (trainer.load_split(0, dropped).captions for dropped in (0, 2, 4))
    kinds = [len(torch.unique(captions, dim=0)) for captions in (whole, fewer, least)]
    assert kinds[0] > kinds[1] > kinds[2]
    assert kinds[2] == 80  # ten digits, eight templates


def test_objective_with_any_loss_and_temperature_has_gradients_and_start_values() -> None:
    rows = torch.randn(2, 16, 64, generator=torch.Generator().manual_seed(0))
    x, y = torch.nn.functional.normalize(rows, dim=-1).requires_grad_()
    for name in loss_names():
        Objective(Setting(loss=name), steps=10)(x, y).backward(retain_graph=True)
    alike = Objective(Setting(loss="IntraModalitySeparation"), steps=10)
    same = torch.ones(16, 1)  # all items mean the same: no row is pushed, so that each term is that of equal logits
    separation = alike.loss(x, y, alike.scale(), semantic_features=same, output_dict=True)["intra_modality_loss"]
    own = (alike.scale() * (x * y).sum(1)).detach()
    assert separation.item() == pytest.approx(0.5 * float(torch.log1p(15 * torch.exp(-own)).mean()), rel=1e-4)
    assert alike(x, y, same).item() != pytest.approx(alike(x, y).item(), rel=1e-3)
    for temperature in ("0.01", "learned", "softplus", "rising", "slow"):
        objective = Objective(Setting(temperature=temperature), steps=4)
        start = objective.temperature
        for _ in range(4):
            objective.step()
        assert (start, objective.temperature) == pytest.approx(
            {"0.01": (0.01, 0.01), "rising": (0.01, 0.05)}.get(temperature, (0.07, 0.07))
        )
    assert Objective(Setting(loss="Sigmoid"), steps=1).bias.item() == -10
    relative = Objective(Setting(loss="Sigmoid (relative bias)"), steps=1)
    assert relative.bias.item() == pytest.approx(0.7)  # -10 + x.y / 0.07 = (x.y - 0.7) / 0.07
    with pytest.raises(InputError, match="unknown temperature 'lerned': did you mean 'learned'"):
        Objective(Setting(temperature="lerned"), steps=1)
    with pytest.raises(InputError, match="unknown loss"):
        Objective(Setting(loss="InfoNC3"), steps=1)


def test_train_setting_equals_the_demonstration_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "EPOCHS", 3)
    loaded = demo.load_digits()
    rows = demo.train_run(demo.RECIPES["plain"], loaded)
    x, y = (rows[side][~loaded.train] for side in ("image", "text"))
    run = train_setting(Setting(temperature="0.01", epochs=3))
    assert run.end["length_image"] == pytest.approx(np.linalg.norm(x.mean(0)), abs=2e-4)
    assert run.end["cosine"] == pytest.approx(float((x * y).sum(1).mean()), abs=2e-3)
    scores = x @ y.T
    own = np.diag(scores)
    first = [np.mean((s >= own[:, None]).sum(1) == 1) for s in (scores, scores.T)]
    assert run.end["R@1"] == pytest.approx(np.mean(first), abs=0.004)
    assert run.curve[0]["epoch"] == 0
    assert run.end["cosine"] <= run.end["ceiling"] + 1e-9


def test_train_setting_passes_caption_features_to_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    forward = Objective.forward

    def noted(self: Objective, x: Any, y: Any, meanings: Any = None) -> Any:
        asked.append(meanings)
        return forward(self, x, y, meanings)

    monkeypatch.setattr(Objective, "forward", noted)
    train_setting(Setting(loss="IntraModalitySeparation", shuffled_fraction=0.5, epochs=1))
    captions = torch.cat(asked)
    assert captions.shape == (1200, 128)
    data = trainer.load_split(0)
    found, every = (rows.numpy()[np.lexsort(rows.numpy().T)] for rows in (captions, data.captions[data.train_rows]))
    np.testing.assert_array_equal(found, every)
    torch.testing.assert_close(captions.norm(dim=1), torch.ones(1200))


def test_train_setting_in_affine_regime_reproduces_the_angle_at_equal_loss() -> None:
    runs = [train_setting(Setting(regime="affine", rank=16, angle=angle, epochs=30)) for angle in (15.0, 75.0)]
    for run in runs:
        assert run.end["gap"] == pytest.approx(run.setting.angle, abs=0.5)
        assert run.end["cosine"] <= run.end["imposed_ceiling"]
    assert runs[0].loss == pytest.approx(runs[1].loss, abs=1e-5)
    assert runs[0].end["R@1"] == runs[1].end["R@1"]
    found = {s.statement: s.verdict for s in evaluate_claims(runs)}
    assert found["the loss does not depend on the angle, and neither does recall"] == "holds"

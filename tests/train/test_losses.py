"""Every loss against a slow loop in float64, its gradient, and what all losses promise."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from isthmus import InputError, train  # noqa: E402
from isthmus.train.geodesic_mixing import arc_weight  # noqa: E402

Rows = np.ndarray
SCALE, BIAS = 5.0, -2.0


def unit(rows: Rows) -> Rows:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@pytest.fixture
def pairs(rng: np.random.Generator) -> tuple[Rows, Rows]:
    x = unit(rng.normal(size=(6, 4)) + np.eye(4)[1])
    return x, unit(x + 0.7 * rng.normal(size=(6, 4)))


@pytest.fixture
def meanings(rng: np.random.Generator) -> Rows:
    return unit(rng.normal(size=(6, 3)) + 0.5)


def tensors(*arrays: Rows, gradient: bool = False) -> list[Any]:
    return [torch.tensor(a, dtype=torch.float64, requires_grad=gradient) for a in arrays]


def make(case: str) -> Any:
    """The loss of an expression such as 'InfoNCE() + 0.5 * Uniformity()'."""
    names = {name: getattr(train, name) for name in train.__all__}
    return eval(case, {}, names)


# Slow loops: the formulas as they stand in the papers, one pair after another.


def dot(a: Rows, b: Rows) -> float:
    return sum(float(p) * float(q) for p, q in zip(a, b, strict=True))


def squared(a: Rows, b: Rows) -> float:
    return sum((float(p) - float(q)) ** 2 for p, q in zip(a, b, strict=True))


def slow_info_nce(x: Rows, y: Rows, scale: float = SCALE) -> float:
    n, total = len(x), 0.0
    for i in range(n):
        to_y = [math.exp(scale * dot(x[i], y[j])) for j in range(n)]
        to_x = [math.exp(scale * dot(y[i], x[j])) for j in range(n)]
        total -= math.log(to_y[i] / sum(to_y)) + math.log(to_x[i] / sum(to_x))
    return total / n / 2


def slow_sigmoid(x: Rows, y: Rows, relative: bool = False) -> float:
    n, total = len(x), 0.0
    for i in range(n):
        for j in range(n):
            cosine = dot(x[i], y[j])
            logit = SCALE * (cosine - BIAS) if relative else SCALE * cosine + BIAS
            total -= math.log(1 / (1 + math.exp(-logit if i == j else logit)))
    return total / n


def slow_alignment(x: Rows, y: Rows) -> float:
    return sum(squared(a, b) for a, b in zip(x, y, strict=True)) / len(x)


def slow_potential(x: Rows, y: Rows) -> float:
    n = len(x)
    terms = [math.exp(-2 * squared(x[i], y[j])) for i in range(n) for j in range(n) if i != j]
    return math.log(sum(terms) / len(terms))


def slow_uniformity(x: Rows, y: Rows) -> float:
    return (slow_potential(x, x) + slow_potential(y, y)) / 2


def slow_centroids(x: Rows, y: Rows) -> float:
    centroids = unit((x + y) / 2)
    return slow_potential(centroids, centroids)


def slow_cua(x: Rows, y: Rows) -> float:
    return slow_info_nce(x, y) + slow_uniformity(x, y) + slow_alignment(x, y)


def slow_separation(x: Rows, y: Rows, meanings: Rows | None = None) -> float:
    n, total = len(x), 0.0
    for rows in (x, y):
        for i in range(n):
            partner = math.exp(SCALE * dot(x[i], y[i]))
            rest = 0.0
            for j in range(n):
                alike = 0.0 if meanings is None else dot(meanings[i], meanings[j])
                if j != i:
                    rest += math.exp(SCALE * (1 - alike) * dot(rows[i], rows[j]))
            total -= math.log(partner / (partner + rest))
    return total / n / 2


def slow_cycles(x: Rows, y: Rows, cross: float = 1.0, within: float = 1.0) -> float:
    n, total = len(x), 0.0
    for i in range(n):
        for j in range(n):
            total += cross * (dot(x[i], y[j]) - dot(x[j], y[i])) ** 2
            total += within * (dot(x[i], x[j]) - dot(y[i], y[j])) ** 2
    return total / n


def slow_cauchy_schwarz(x: Rows, y: Rows, width: float = 1.0) -> float:
    def mean(a: Rows, b: Rows) -> float:
        kernels = [math.exp(-squared(p, q) / (2 * width**2)) for p in a for q in b]
        return sum(kernels) / len(kernels)

    return -2 * math.log(mean(x, y)) + math.log(mean(x, x)) + math.log(mean(y, y))


def slow_mixing(x: Rows, y: Rows, ratio: float = 0.3) -> float:
    n, total, mixed = len(x), 0.0, []
    for a, b in zip(x, y, strict=True):
        angle = math.acos(dot(a, b))
        mixed.append((math.sin(ratio * angle) * a + math.sin((1 - ratio) * angle) * b) / math.sin(angle))
    for rows in (x, y):
        for i in range(n):
            partner = math.exp(SCALE * dot(x[i], y[i]))
            rest = sum(math.exp(SCALE * dot(rows[i], mixed[j])) for j in range(n) if j != i)
            total -= math.log(partner / (partner + rest))
    return total / n / 2


def slow_guard(x: Rows, y: Rows) -> float:
    n, d = x.shape
    variance = covariance = 0.0
    for rows in (math.sqrt(d) * x, math.sqrt(d) * y):
        means = [sum(float(v) for v in rows[:, k]) / n for k in range(d)]
        for k in range(d):
            for other in range(d):
                product = sum((rows[i, k] - means[k]) * (rows[i, other] - means[other]) for i in range(n)) / (n - 1)
                if k == other:
                    variance += max(0.0, 1 - math.sqrt(product + 1e-4)) / d / 2
                else:
                    covariance += product**2 / d / 2
    return variance + 0.04 * covariance


#: the loss as an expression, and what the loop gives for it
CASES: dict[str, Callable[[Rows, Rows], float]] = {
    "InfoNCE()": slow_info_nce,
    "InfoNCE(reduction='sum')": lambda x, y: 2 * slow_info_nce(x, y),
    "InfoNCE(block=4)": slow_info_nce,
    "Sigmoid()": slow_sigmoid,
    "Sigmoid(bias='relative')": lambda x, y: slow_sigmoid(x, y, relative=True),
    "Sigmoid(block=4)": slow_sigmoid,
    "TruePairAlignment()": slow_alignment,
    "Uniformity()": slow_uniformity,
    "CrossUniformity()": slow_potential,
    "CentroidUniformity()": slow_centroids,
    "CUA()": slow_cua,
    "CUAXU(cross_uniformity=0.5)": lambda x, y: slow_cua(x, y) + 0.5 * slow_potential(x, y),
    "IntraModalitySeparation()": slow_separation,
    "CyclicConsistency()": slow_cycles,
    "CyclicConsistency(reduction='mean', cross=2, within=0.5)": lambda x, y: slow_cycles(x, y, 2, 0.5) / len(x),
    "CauchySchwarz()": slow_cauchy_schwarz,
    "CauchySchwarz(width=0.05)": lambda x, y: slow_cauchy_schwarz(x, y, 0.05),
    "GeodesicMixing(ratio=0.3)": slow_mixing,
    "VarianceCovariance()": slow_guard,
    "2 * InfoNCE() + TruePairAlignment() * 0.5": lambda x, y: 2 * slow_info_nce(x, y) + 0.5 * slow_alignment(x, y),
    "Sum(InfoNCE(), 0.1 * (Uniformity() + 3 * CauchySchwarz()))": lambda x, y: (
        slow_info_nce(x, y) + 0.1 * slow_uniformity(x, y) + 0.3 * slow_cauchy_schwarz(x, y)
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_loss_equals_the_slow_loop(case: str, pairs: tuple[Rows, Rows]) -> None:
    value = make(case)(*tensors(*pairs), SCALE, BIAS)
    assert value.dtype == torch.float64
    assert value.item() == pytest.approx(CASES[case](*pairs), rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("case", CASES)
def test_loss_gradient_equals_finite_differences(case: str, pairs: tuple[Rows, Rows]) -> None:
    inputs = (*tensors(*pairs, gradient=True), *tensors(np.array(SCALE), np.array(BIAS), gradient=True))
    assert torch.autograd.gradcheck(make(case).eval(), inputs)


@pytest.mark.parametrize("case", CASES)
def test_loss_with_output_dict_adds_up_to_the_loss(case: str, pairs: tuple[Rows, Rows]) -> None:
    loss = make(case).eval()
    terms = loss(*tensors(*pairs), SCALE, BIAS, output_dict=True)
    assert all(key.endswith("_loss") for key in terms)
    assert sum(value.item() for value in terms.values()) == pytest.approx(loss(*tensors(*pairs), SCALE, BIAS).item())


def test_registry_losses_all_have_a_case() -> None:
    # The shared space has a file of its own.
    assert {case.split("(")[0] for case in CASES} >= set(train.registry()) - {"SharedSpaceAlignment"}


def test_separation_with_semantic_features_scales_the_negatives(pairs: tuple[Rows, Rows], meanings: Rows) -> None:
    x, y, m = tensors(*pairs, meanings, gradient=True)
    loss = make("InfoNCE() + 0.5 * IntraModalitySeparation()")
    value = loss(x, y, SCALE, semantic_features=m)
    assert value.item() == pytest.approx(slow_info_nce(*pairs) + 0.5 * slow_separation(*pairs, meanings), rel=1e-10)
    value.backward()
    assert m.grad is None
    assert torch.autograd.gradcheck(lambda a, b: loss(a, b, SCALE, semantic_features=m), (x, y))


def test_mixing_with_equal_rows_is_smooth() -> None:
    x = torch.eye(3, dtype=torch.float64)
    nearly = torch.nn.functional.normalize(x + 1e-6 * torch.eye(3, dtype=torch.float64).roll(1, 0))
    loss = make("GeodesicMixing(ratio=0.3)")
    for y in (x, nearly):
        mixed = slow_mixing(x.numpy(), nearly.numpy())
        assert loss(x, y, SCALE).item() == pytest.approx(mixed, abs=1e-5)
    rows = [x.clone().requires_grad_(), nearly.clone().requires_grad_()]
    assert torch.autograd.gradcheck(lambda a, b: loss(a, b, SCALE), rows)
    loss(rows[0], rows[0], SCALE).backward()
    assert torch.isfinite(rows[0].grad).all()
    # On both sides of the place where the series takes over the two forms agree.
    for near in (0.99e-4, 1.01e-4, 5e-3):
        c = torch.tensor([[1 - near]], dtype=torch.float64)
        angle = math.acos(1 - near)
        assert arc_weight(c, 0.3).item() == pytest.approx(math.sin(0.3 * angle) / math.sin(angle), rel=1e-13)


def test_mixing_draws_a_reproducible_ratio_for_each_step(pairs: tuple[Rows, Rows]) -> None:
    rows = tensors(*pairs)
    loss, again = make("GeodesicMixing(seed=3)"), make("GeodesicMixing(seed=3)")
    values = [loss(*rows, SCALE).item() for _ in range(3)]
    assert len(set(values)) == 3
    assert [again(*rows, SCALE).item() for _ in range(3)] == values
    assert loss.eval()(*rows, SCALE).item() == loss(*rows, SCALE).item()
    resumed = make("GeodesicMixing(seed=3)")
    resumed.load_state_dict(loss.state_dict())
    assert resumed(*rows, SCALE).item() == loss.train()(*rows, SCALE).item()
    ratios = [np.random.default_rng([3, step]).beta(0.5, 0.5) for step in range(3)]
    assert values == pytest.approx([slow_mixing(*pairs, ratio) for ratio in ratios], rel=1e-10)


def test_loss_with_block_keeps_no_logits(rng: np.random.Generator) -> None:
    """Between the passes the tiled loss keeps less than a tenth of what the plain one keeps."""
    x, y = (torch.tensor(unit(rng.normal(size=(400, 8))), requires_grad=True) for _ in range(2))
    for whole, tiled in (("InfoNCE()", "InfoNCE(block=20)"), ("Sigmoid()", "Sigmoid(block=20)")):
        kept = []
        for case in (whole, tiled):
            sizes: dict[int, int] = {}

            def pack(t: Any, sizes: dict[int, int] = sizes) -> Any:
                sizes[t.data_ptr()] = t.numel()
                return t

            with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
                loss = make(case)(x, y, SCALE, BIAS)
            kept.append(sum(sizes.values()))
            loss.backward()
        assert kept[0] >= 400 * 400
        assert kept[1] < kept[0] / 10


@pytest.mark.parametrize("case", [*CASES, "SharedSpaceAlignment()"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_loss_under_autocast_computes_in_float32(case: str, dtype: Any, pairs: tuple[Rows, Rows]) -> None:
    x, y = (torch.tensor(rows).to(dtype).requires_grad_() for rows in pairs)
    scale = torch.tensor(100.0, requires_grad=True)
    with torch.autocast("cpu", dtype=dtype):
        value = make(case)(x, y, scale, BIAS)
    assert value.dtype == torch.float32
    assert torch.equal(value, make(case)(x.float(), y.float(), scale, BIAS))
    with torch.autocast("cpu", dtype=dtype):
        value.backward()
    assert x.grad.dtype == dtype
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("name", sorted(train.registry()))
def test_loss_gives_every_parameter_a_gradient(name: str, pairs: tuple[Rows, Rows]) -> None:
    """DistributedDataParallel stops at parameters without one."""
    scale, bias = tensors(np.array(SCALE), np.array(BIAS), gradient=True)
    train.get(name)()(*tensors(*pairs), scale, bias).backward()
    assert scale.grad is not None
    assert bias.grad is not None


def test_registry_specs_build_losses_and_unknown_names_raise() -> None:
    for name, declared in train.registry().items():
        assert declared.name == name == declared.cls.__name__
        assert declared.definition
        assert declared.source
        whole = declared.build()
        assert isinstance(whole, train.Loss)
        assert "contrastive_loss" in whole(torch.eye(3), torch.eye(3), 1.0, output_dict=True)
        assert train.get(name.lower()) is declared.cls
    with pytest.raises(InputError, match="unknown loss 'infonec': did you mean 'InfoNCE'"):
        train.get("infonec")


def test_sum_with_equal_keys_adds_the_terms(pairs: tuple[Rows, Rows]) -> None:
    terms = make("InfoNCE() + 2 * InfoNCE()")(*tensors(*pairs), SCALE, output_dict=True)
    assert terms["contrastive_loss"].item() == pytest.approx(3 * slow_info_nce(*pairs))


def test_loss_with_logit_scale_of_shape_one_is_a_scalar(pairs: tuple[Rows, Rows]) -> None:
    """open_clip can make it a tensor of shape (1,)."""
    value = make("InfoNCE()")(*tensors(*pairs), torch.full((1,), SCALE), torch.full((1,), BIAS))
    assert value.shape == ()
    assert value.item() == pytest.approx(slow_info_nce(*pairs))


WRONG = {
    "image_features: got shape \\(4,\\) and torch.float32": lambda: make("InfoNCE()")(torch.ones(4), torch.ones(4), 1),
    "image_features: got ndarray": lambda: make("InfoNCE()")(np.eye(2), np.eye(2), 1),
    "text_features: got ndarray": lambda: make("InfoNCE()")(torch.eye(2), np.eye(2), 1),
    "image_features: got shape \\(2, 2\\) and torch.int64": lambda: make("InfoNCE()")(
        torch.ones(2, 2, dtype=torch.int64), torch.eye(2), 1
    ),
    "text_features has 3 rows and image_features 2": lambda: make("InfoNCE()")(torch.eye(2), torch.eye(3), 1),
    "width 2 and text_features 3: give features": lambda: make("InfoNCE()")(torch.ones(2, 2), torch.ones(2, 3), 1),
    "a batch of 1 pair has no non-matching pair; use drop_last": lambda: make("CUA()")(
        torch.ones(1, 2), torch.ones(1, 2), 1
    ),
    "logit_scale has shape \\(2,\\), expected one number": lambda: make("InfoNCE()")(
        torch.eye(2), torch.eye(2), torch.ones(2)
    ),
    "reduction='max', expected 'mean'": lambda: make("InfoNCE(reduction='max')"),
    "block=0": lambda: make("Sigmoid(block=0)"),
    "block=-1": lambda: make("InfoNCE(block=-1)"),
    "bias='none', expected": lambda: make("Sigmoid(bias='none')"),
    "reduction='max', expected 'sum'": lambda: make("CyclicConsistency(reduction='max')"),
    "width=0": lambda: make("CauchySchwarz(width=0)"),
    "alpha=0": lambda: make("GeodesicMixing(alpha=0)"),
    "ratio=2": lambda: make("GeodesicMixing(ratio=2)"),
    "variance=-1": lambda: make("VarianceCovariance(variance=-1)"),
    "0 losses and 0 weights": lambda: make("Sum()"),
    "a str cannot be added": lambda: make("Sum('InfoNCE')"),
    "got weight nan": lambda: train.InfoNCE() * math.nan,
    "got a str, expected a loss": lambda: make("AtTemperature('InfoNCE', FixedTemperature(1))"),
}


@pytest.mark.parametrize("message", WRONG)
def test_loss_with_invalid_arguments_raises(message: str) -> None:
    with pytest.raises(InputError, match=message):
        WRONG[message]()


def test_sum_with_other_types_raises() -> None:
    with pytest.raises(TypeError):
        _ = train.InfoNCE() + 1
    with pytest.raises(TypeError):
        _ = train.InfoNCE() * "2"

"""Every aligner fitted to degenerate data: finite rows, or one sentence in words."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

import isthmus
from isthmus.align import Centering, registry
from isthmus.utils.errors import InputError, IsthmusWarning

#: Words of linear algebra that no message about data contains.
JARGON = ("matrix", "eigenvalue", "singular", "cross-covariance", "converge", "nan", "R^")
N, D = 40, 8


def clouds() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    content = rng.normal(size=(N, 4)) @ rng.normal(size=(4, D))
    x, y = (content + 0.4 * rng.normal(size=(N, D)) + rng.normal(size=D) for _ in range(2))
    return unit(x), unit(y)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def degenerate(kind: str, rows: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(4)
    forms = {
        "equal": np.repeat(rows[:1], len(rows), axis=0),
        "nearly equal": unit(rows[:1] + 1e-3 * rng.normal(size=rows.shape)),
        "opposite": rng.choice([-1.0, 1.0], (len(rows), 1)) * rows[:1],
        "plane": unit(rng.normal(size=(len(rows), 2)) @ rng.normal(size=(2, D))),
        "one-hot": np.eye(D)[rng.integers(0, D, len(rows))],
    }
    return forms[kind]


def data_of(kind: str, side: str) -> tuple[np.ndarray, np.ndarray]:
    x, y = clouds()
    if kind == "few":
        return x[: int(side)], y[: int(side)]
    if kind == "same rows":
        return x, x if side == "plus" else -x
    return degenerate(kind, x) if side != "y" else x, degenerate(kind, y) if side != "x" else y


CASES = [
    *((kind, side) for kind in ("equal", "nearly equal", "opposite", "plane") for side in ("x", "y", "both")),
    ("one-hot", "both"), ("same rows", "plus"), ("same rows", "minus"), ("few", "2"), ("few", "3"), ("few", "5"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "side"), CASES)
def test_every_aligner_of_degenerate_data_gives_finite_rows_or_a_sentence(kind: str, side: str) -> None:
    messages = []
    for name, aligner_class in registry().items():
        x, y = (rows.astype(np.float32) for rows in data_of(kind, side))
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # such as a RuntimeWarning of NumPy
            warnings.simplefilter("ignore", IsthmusWarning)
            try:
                aligner = aligner_class().fit(x, y)
                if aligner.corrects_scores:
                    rows = [aligner.scores(x[:2], y, query="x", stored="y")]
                else:
                    rows = aligner.transform(x, y)
            except InputError as error:
                messages.append(str(error))
                continue
        assert all(np.isfinite(values).all() for values in rows), name
    assert len(messages) < len(registry())  # some aligners map these rows
    assert not [message for message in messages if len(message) > 300 or any(word in message for word in JARGON)]


@pytest.mark.parametrize("name", ["KernelBlend", "ReAlign", "RidgeMap", "RidgeCCA", "Blend", "SharedSpaceProjection"])
@pytest.mark.parametrize("side", ["x", "y"])
def test_aligners_that_need_spread_name_the_modality_without_any(name: str, side: str) -> None:
    pairs = isthmus.Pairs(**dict(zip(("image", "text"), data_of("equal", side), strict=True)))
    with (
        pytest.warns(IsthmusWarning),
        pytest.raises(InputError, match="no correction can tell equal rows apart") as error,
    ):
        _ = getattr(isthmus.align, name)().fit(pairs).map_x_
    assert str(error.value).startswith(f"all rows of {'image' if side == 'x' else 'text'} are the same: {name}")


@pytest.mark.filterwarnings("ignore:.* fits a free map")
@pytest.mark.parametrize("name", ["Centering", "Standardization", "Procrustes", "PartialWhitening"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_transform_of_equal_rows_warns_and_gives_zero_rows(name: str, dtype: str) -> None:
    x, y = data_of("equal", "x")
    axis = np.eye(D)[np.zeros(N, dtype=int)]
    for rows in (x.astype(dtype), axis.astype(dtype), torch.tensor(x.astype(dtype))):
        aligner = getattr(isthmus.align, name)()
        with pytest.warns(IsthmusWarning, match="All rows of image are the same"):
            aligner.fit(image=rows, text=y.astype(dtype))
        with pytest.warns(IsthmusWarning, match=f"{name} leaves some rows of image without a direction"):
            assert not np.asarray(aligner.transform_x(rows)).any()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            np.testing.assert_allclose(np.linalg.norm(aligner.transform_y(y.astype(dtype)), axis=1), 1, rtol=1e-5)


def test_transform_of_one_hot_rows_warns_of_the_dropped_ones_alone() -> None:
    rows = np.eye(D)
    aligner = isthmus.align.DimensionRemoval(k=2).fit(rows[[0, 1, 2, 3]], rows[[4, 5, 2, 3]])
    with pytest.warns(IsthmusWarning, match="DimensionRemoval leaves some rows of x without a direction"):
        mapped = aligner.transform_x(rows)
    assert np.array_equal(np.linalg.norm(mapped, axis=1), ~np.isin(np.arange(D), aligner.fit_info_["dropped"]))


def test_transform_of_tensors_with_a_gradient_gives_no_warning_and_keeps_it(rng: np.random.Generator) -> None:
    x = torch.tensor(rng.normal(size=(50, 4)), requires_grad=True)
    mapped = Centering().fit(x, x.detach() + 1).transform_x(x)
    mapped[:, 0].sum().backward()
    assert x.grad is not None
    assert bool(x.grad.any())


@pytest.mark.filterwarnings("ignore:All rows of text are the same.")
@pytest.mark.parametrize("spread", [0.0, 1e-9])
@pytest.mark.parametrize(("aim", "constraint"), [("search", "none"), ("search", "rows"), ("retrieval", "no_pairs")])
def test_auto_keeps_the_rows_where_one_modality_is_constant_whichever_comes_first(
    aim: str, constraint: str, spread: float
) -> None:
    rng = np.random.default_rng(0)
    rows = {"image": rng.normal(size=(60, D)), "text": rng.normal(size=D) + spread * rng.normal(size=(60, D))}
    expected = "all rows of text are the same, so that nothing can be fitted"
    for names in (("image", "text"), ("text", "image")):
        with pytest.warns(IsthmusWarning, match=f"Auto falls back to Identity: {expected}"):
            auto = isthmus.align.Auto(aim=aim, constraint=constraint).fit(**{name: rows[name] for name in names})
        assert auto.reasons_ == [f"Identity, not cross-validated: {expected}."]


def test_auto_of_unpaired_rows_keeps_the_rows_where_one_modality_is_constant() -> None:
    x, y = data_of("equal", "x")
    auto = isthmus.align.Auto(constraint="rows").fit(x, y, paired=False)
    assert type(auto.chosen_).__name__ == "Identity"
    assert "Centering has no fit: all rows of x are the same" in auto.reasons_[0]


@pytest.mark.filterwarnings("ignore:.*(same|distinct|few|without a direction)")
@pytest.mark.parametrize("name", ["SharedSignal", "DifferenceWhitening", "PartialWhitening", "GapProjection"])
@pytest.mark.parametrize("kind", ["same rows", "equal"])
@pytest.mark.parametrize("change", ["permuted", "scaled", "repeated"])
def test_degenerate_fits_do_not_depend_on_rounding(name: str, kind: str, change: str) -> None:
    x, y = data_of(kind, "plus" if kind == "same rows" else "y")
    order = np.random.default_rng(0).permutation(N) if change == "permuted" else np.arange(N)
    order = np.repeat(order, 20) if change == "repeated" else order
    results = []
    for rows in ((x, y), (x[order] * (3 if change == "scaled" else 1), y[order])):
        try:
            aligner = getattr(isthmus.align, name)().fit(*rows)
            results.append(np.hstack(aligner.transform(x, y)))
        except InputError as error:
            results.append(str(error))
    if isinstance(results[0], str):
        assert results[0] == results[1]
    else:
        np.testing.assert_allclose(results[0], results[1], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("GapProjection", "the two means are equal"),
        ("DimensionRemoval", "the two means are equal"),
        ("MeanRotation", "the mean row of image is 0"),
        ("SharedSignal", "matching rows vary together in no direction"),
    ],
)
def test_maps_without_a_direction_are_refused(name: str, message: str) -> None:
    x = unit(np.random.default_rng(0).normal(size=(2 * N, 12)))
    rows = np.concatenate([x, -x])
    order = np.random.default_rng(1).permutation(len(rows))
    texts = rows if name == "MeanRotation" else -rows[order] + 1e-17
    if name == "SharedSignal":
        texts = -rows
    pairs = isthmus.Pairs(image=rows, text=texts)
    with pytest.raises(InputError, match=message):
        _ = getattr(isthmus.align, name)().fit_moments(isthmus.Moments.of(pairs), names=pairs.names).map_x_


@pytest.mark.filterwarnings("ignore:.*(same|distinct|few)")
@pytest.mark.parametrize("name", ["ScoreCalibration", "ScoreStandardization", "InvertedSoftmax"])
@pytest.mark.parametrize("n", [60, 500, 1000])
def test_score_corrections_refuse_a_constant_modality_of_any_size(name: str, n: int) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(n, D)), np.tile(rng.normal(size=D), (n, 1))
        for rows in ((x, y), (3 * x, 3 * y), (np.repeat(x, 2, axis=0), np.repeat(y, 2, axis=0))):
            with pytest.raises(InputError, match="all rows of y are the same, so that their scores have no spread"):
                _ = getattr(isthmus.align, name)().fit(*rows).map_x_


@pytest.mark.filterwarnings("ignore:.*(same|match)")
def test_score_standardization_refuses_scores_whose_spread_is_rounding() -> None:
    rng = np.random.default_rng(0)
    x, y = (unit(np.eye(16)[axis] + 2e-4 * rng.normal(size=(60, 16))) for axis in (0, 1))
    with pytest.raises(InputError, match="equal up to rounding.*; use ScoreCalibration"):
        _ = isthmus.align.ScoreStandardization().fit_moments(isthmus.Moments.of(x, y)).map_x_
    level = isthmus.align.ScoreCalibration().fit(x, y).level(query="x", stored="x")[1]
    assert level == pytest.approx((x @ x.T)[~np.eye(60, dtype=bool)].std(), rel=1e-3)

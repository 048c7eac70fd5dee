"""Every aligner fitted to degenerate data: finite rows, or one sentence in words."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import isthmus
from isthmus.align import registry
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
    assert not [message for message in messages if len(message) > 300 or any(word in message for word in JARGON)]


@pytest.mark.parametrize("name", ["KernelBlend", "ReAlign"])
@pytest.mark.parametrize("side", ["x", "y"])
def test_aligners_that_need_spread_name_the_modality_without_any(name: str, side: str) -> None:
    pairs = isthmus.Pairs(**dict(zip(("image", "text"), data_of("equal", side), strict=True)))
    with pytest.warns(IsthmusWarning), pytest.raises(InputError, match="use Centering") as error:
        _ = getattr(isthmus.align, name)().fit(pairs).map_x_
    assert str(error.value).startswith(f"all rows of {'image' if side == 'x' else 'text'} are the same: {name}")

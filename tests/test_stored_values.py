"""Every measure, the explanation and every aligner give the values that are stored in stored_values.json.

`python tests/test_stored_values.py` writes the file again. Do so only if a number is meant to change, and say why.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus

FILE = Path(__file__).with_name("stored_values.json")
#: Relative and absolute difference that another BLAS or processor may cause.
TOLERANCE = 1e-7


def made_up_pairs(n: int, d: int, captions: int, seed: int) -> isthmus.Pairs:
    """Return pairs like those of CLIP: two cones, shared and private directions, classes, and repeated captions."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 4
    scales = 1 / np.sqrt(np.arange(1, d + 1))
    latent = (rng.normal(size=(n, d)) + rng.normal(size=(4, d))[labels]) * scales
    owner = np.arange(n * captions) // captions
    x = latent + 0.4 * rng.normal(size=(n, d)) * scales + 1.2 * np.eye(d)[0]
    y = (
        latent[owner]
        + 0.5 * rng.normal(size=(n * captions, d)) * scales[::-1]
        + 1.2 * np.eye(d)[3]
        + 0.4 * np.eye(d)[0]
    )
    index = None if captions == 1 else owner
    return isthmus.Pairs(image=x, text=y, labels=labels, index=index)


CASES = {
    "many rows": (240, 12, 1, 0),
    "captions": (90, 12, 3, 1),
    "few rows": (24, 16, 1, 2),
}


def numbers(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Yield the path and the value of every number of nested dictionaries and lists."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from numbers(item, f"{path}/{key}")
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            yield from numbers(item, f"{path}/{position}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, float(value)


def measured(case: str) -> dict[str, float]:
    """Return every number of `measure` on one case."""
    result = isthmus.measure(made_up_pairs(*CASES[case]))
    estimates = {name: [e.value, e.low, e.high, e.null] for name, e in result.items()}
    return dict(numbers({**estimates, "curves": {name: np.asarray(c).tolist() for name, c in result.curves.items()}}))


def explained() -> dict[str, float]:
    """Return every number of `explain` on the first case."""
    return dict(numbers(isthmus.explain(made_up_pairs(*CASES["many rows"]), metrics="all").to_dict()))


def aligned(name: str) -> dict[str, float]:
    """Return mapped rows of one aligner, the maps adapted to other rows, and the numbers that explain the solution."""
    pairs, corpus = made_up_pairs(*CASES["many rows"]), made_up_pairs(60, 12, 1, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        aligner = isthmus.align.get(name)().fit(pairs)
        x, y = pairs.unit()
        rows = [
            aligner.stored(np.asarray(part), modality=name)[:3].tolist()
            for name, part in zip(pairs.names, (x, y), strict=True)
        ]
        content: dict[str, Any] = {"rows": rows, "info": json.loads(json.dumps(aligner.fit_info_, default=str))}
        if isinstance(aligner, isthmus.align.Auto):
            return dict(numbers(content))
        new_x = np.asarray(corpus.unit()[0])
        drift = aligner.drift(new_x)
        content["drift"] = [v for v in vars(drift).values() if isinstance(v, int | float)]
        if not aligner.uses_pairs or aligner.uses_means:
            try:
                content["adapted"] = aligner.adapt(new_x).stored(new_x[:3], modality="image").tolist()
            except isthmus.InputError:  # no solution for the other corpus
                content["adapted"] = -1
    return dict(numbers(content))


def all_values() -> dict[str, dict[str, float]]:
    """Return the content of the file."""
    values = {f"measure {case}": measured(case) for case in CASES}
    values["explain"] = explained()
    return values | {f"align {name}": aligned(name) for name in sorted(isthmus.align.registry())}


def assert_equal(values: dict[str, float], stored: dict[str, float | None]) -> None:
    assert values.keys() == stored.keys()
    for name, value in values.items():
        expected = stored[name]
        assert value == pytest.approx(
            math.nan if expected is None else expected, rel=TOLERANCE, abs=TOLERANCE, nan_ok=True
        ), name


@pytest.fixture(scope="module")
def stored() -> Any:
    return json.loads(FILE.read_text(encoding="utf-8"))


def entry_of(path: str) -> str:
    """Return the measure or the curve that a number belongs to."""
    return "/".join(path.split("/")[: 3 if path.startswith(("/curves/", "/metrics/")) else 2])


@pytest.mark.parametrize("case", CASES)
def test_measure_gives_stored_values(case: str, stored: Any) -> None:
    """All numbers of the measures that are stored. A new measure is reported as a skip."""
    values = measured(case)
    entries = {entry_of(path) for path in stored[f"measure {case}"]}
    assert_equal({path: v for path, v in values.items() if entry_of(path) in entries}, stored[f"measure {case}"])
    new_entries = {entry_of(path).rpartition("/")[2] for path in values if entry_of(path) not in entries}
    if new_entries:
        pytest.skip(f"{', '.join(sorted(new_entries))}: not stored; run python tests/test_stored_values.py")


def test_explain_gives_stored_values(stored: Any) -> None:
    entries = {entry_of(path) for path in stored["explain"]}
    values = explained()
    new_metrics = {path for path in values if path.startswith("/metrics/") and entry_of(path) not in entries}
    assert_equal({path: value for path, value in values.items() if path not in new_metrics}, stored["explain"])


@pytest.mark.parametrize("name", sorted(isthmus.align.registry()))
def test_aligner_gives_stored_values(name: str, stored: Any) -> None:
    if f"align {name}" not in stored:
        pytest.skip(f"{name}: not stored; run python tests/test_stored_values.py")
    assert_equal(aligned(name), stored[f"align {name}"])


if __name__ == "__main__":
    content = {
        group: {name: None if math.isnan(value) else float(f"{value:.10g}") for name, value in values.items()}
        for group, values in all_values().items()
    }
    FILE.write_text(json.dumps(content, indent=0) + "\n", encoding="utf-8")

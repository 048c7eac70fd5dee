"""Every measure, the explanation and every aligner give the values that are stored in stored_values.json.

The measures of real embeddings are stored in stored_values_of_real_sets.json. Their test needs ISTHMUS_FIXTURES.
`python tests/test_stored_values.py` writes both files again, the second one if ISTHMUS_FIXTURES is set. Do so only if a
number is meant to change, and say why.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus

FILE = Path(__file__).with_name("stored_values.json")
#: Relative and absolute difference that another BLAS or processor may cause.
TOLERANCE = 1e-7
#: The measures of real embeddings: value, low, high and null of each measure, and no rows.
FILE_OF_REAL_SETS = Path(__file__).with_name("stored_values_of_real_sets.json")
#: Pairs of a real set that are measured. A larger set is sampled.
MAX_REAL_PAIRS = 500
REAL_SETS = [
    f"{name}{suffix}" for name in ("clasp_uniprot", "clip_coco", "videoclip_msrvtt") for suffix in ("", "_random_init")
]
#: The same for real sets, whose rows are float32. Seven processor types differ by up to 5e-7.
REAL_TOLERANCE = 2e-6
#: Rows of an untrained network that are nearly equal. Rounding changes distances by up to 4e-5, and numbers of
#: neighbours and ranks by up to 4e-3, because it decides near ties.
NEARLY_EQUAL_ROWS, NEARLY_EQUAL_TOLERANCE, NEAR_TIE_TOLERANCE = "clasp_uniprot_random_init", 2e-4, 1e-2
NEAR_TIES = ("/cknna/", "/mixed_partner_rank_")


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
    curves = {name: np.asarray(c).tolist() for name, c in result.curves.items()}
    return dict(numbers({**estimates_of(result), "curves": curves}))


def estimates_of(result: isthmus.Result) -> dict[str, list[float]]:
    """Return value, low, high and null of each measure."""
    return {name: [e.value, e.low, e.high, e.null] for name, e in result.items()}


def measured_real_set(folder: Path) -> dict[str, float]:
    """Return every number of `measure` on the two files of a folder, without its curves."""
    files = {path.stem: np.load(path) for path in sorted(folder.glob("*.npy"))}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "9. of 99 .* rows are distinct", isthmus.IsthmusWarning)
        pairs = isthmus.Pairs(**files).sample(MAX_REAL_PAIRS)
        return dict(numbers(estimates_of(isthmus.measure(pairs))))


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


def real_tolerance(real_set: str, path: str) -> float:
    """Return the tolerance of a number of a real set."""
    if real_set != NEARLY_EQUAL_ROWS:
        return REAL_TOLERANCE
    return NEAR_TIE_TOLERANCE if path.startswith(NEAR_TIES) else NEARLY_EQUAL_TOLERANCE


def assert_equal(values: dict[str, float], stored: dict[str, float | None], real_set: str | None = None) -> None:
    assert values.keys() == stored.keys()
    for name, value in values.items():
        expected = math.nan if (number := stored[name]) is None else number
        tolerance = TOLERANCE if real_set is None else real_tolerance(real_set, name)
        assert value == pytest.approx(expected, rel=tolerance, abs=tolerance, nan_ok=True), name


@pytest.fixture(scope="module")
def stored() -> Any:
    return json.loads(FILE.read_text(encoding="utf-8"))


def entry_of(path: str) -> str:
    """Return the measure or the curve that a number belongs to."""
    return "/".join(path.split("/")[: 3 if path.startswith(("/curves/", "/metrics/")) else 2])


def assert_stored(values: dict[str, float], stored: dict[str, float | None], real_set: str | None = None) -> None:
    """Compare all numbers of the measures that are stored, and skip the test if there is a new measure."""
    entries = {entry_of(path) for path in stored}
    assert_equal({path: v for path, v in values.items() if entry_of(path) in entries}, stored, real_set)
    new_entries = {entry_of(path).rpartition("/")[2] for path in values if entry_of(path) not in entries}
    if new_entries:
        pytest.skip(f"{', '.join(sorted(new_entries))}: not stored; run python tests/test_stored_values.py")


@pytest.mark.parametrize("case", CASES)
def test_measure_gives_stored_values(case: str, stored: Any) -> None:
    assert_stored(measured(case), stored[f"measure {case}"])


@pytest.mark.parametrize("name", REAL_SETS)
def test_measure_of_real_set_gives_stored_values(name: str, real: Callable[[str], Path]) -> None:
    stored = json.loads(FILE_OF_REAL_SETS.read_text(encoding="utf-8"))[name]
    assert_stored(measured_real_set(real(name)), stored, name)


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


def write(path: Path, groups: dict[str, dict[str, float]]) -> None:
    """Write the numbers with 10 digits as JSON, NaN as null."""
    content = {
        group: {name: None if math.isnan(value) else float(f"{value:.10g}") for name, value in values.items()}
        for group, values in groups.items()
    }
    path.write_text(json.dumps(content, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(FILE, all_values())
    if "ISTHMUS_FIXTURES" in os.environ:
        folder = Path(os.environ["ISTHMUS_FIXTURES"])
        write(FILE_OF_REAL_SETS, {name: measured_real_set(folder / name) for name in REAL_SETS})

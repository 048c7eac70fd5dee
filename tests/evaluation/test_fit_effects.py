"""What groups of fitting items do to the scores of held-out items, against fits without them."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus import Pairs
from isthmus.align import InvertedSoftmax, MeanRotation, ScoreCalibration, ScoreStandardization
from isthmus.compute.arrays import to_numpy
from isthmus.evaluation import fit_effects as module
from isthmus.evaluation.fit_effects import fit_effects
from isthmus.evaluation.reduced_fits import N_FIT_GROUPS, reduced_terms
from isthmus.tasks import TaskData, select_tasks

N = 40
TASKS = ("retrieval", "mixed_search")


#: Captions of the items of each half. Above a tenth of the pairs in one item, comparisons have no interval.
CAPTIONS = [2] * N, [1] * (N - 1) + [4]


@pytest.fixture
def halves(rng: np.random.Generator) -> tuple[Pairs, Pairs]:
    return halves_with(rng, CAPTIONS[0])


def halves_with(rng: np.random.Generator, captions: list[int]) -> tuple[Pairs, Pairs]:
    index, halves = np.repeat(np.arange(N), captions), []
    for _ in range(2):
        latent = rng.normal(size=(N, 6))
        x, y = latent + rng.normal(size=(N, 6)), latent[index] + rng.normal(size=(len(index), 6))
        halves.append(Pairs(image=x + 1, text=y - 1, index=index))
    return halves[0], halves[1]


def searched(test: Pairs, fitted: object) -> TaskData:
    raw_x, raw_y = (to_numpy(rows) for rows in test.unit())
    is_map = not fitted.corrects_scores  # type: ignore[attr-defined]
    x, y = fitted.transform(raw_x, raw_y) if is_map else (raw_x, raw_y)  # type: ignore[attr-defined]
    options = {"owner": test.index, "raw_x": raw_x, "raw_y": raw_y, "seed": 3, "tasks": TASKS}
    return TaskData(x, y, correction=None if is_map else fitted, **options)


def means(data: TaskData) -> dict[str, float]:
    scores = [task.run(data) for task in select_tasks(TASKS)]
    return {name: float(values.mean()) for result in scores for name, values in result.per_item.items()}


@pytest.mark.parametrize("captions", CAPTIONS, ids=["two captions", "more of one item"])
@pytest.mark.parametrize("correction", [ScoreCalibration, ScoreStandardization, InvertedSoftmax])
def test_reduced_terms_are_those_of_fits_without_the_group(
    correction: type[ScoreCalibration], captions: list[int], rng: np.random.Generator
) -> None:
    fit, test = halves_with(rng, captions)
    group = np.arange(N) % N_FIT_GROUPS
    fitted = correction(hubness_weight=0.3) if correction is ScoreCalibration else correction()
    fitted.fit(fit)
    x, y = (to_numpy(rows) for rows in test.unit())
    reduced = list(reduced_terms(fitted, {"x": x, "y": y}, fit, group))
    assert len(reduced) == N_FIT_GROUPS + 1
    for number, terms in ((0, reduced[0]), (3, reduced[4])):
        remaining = fit if number == 0 else fit.take(np.flatnonzero(group != number))
        expected = type(fitted)(**fitted.get_params()).fit(remaining).score_terms(x, y)[1]
        for direction, (scale, of_stored, of_query) in terms.items():
            assert scale == pytest.approx(expected[direction][0], rel=1e-5)
            assert of_stored == pytest.approx(expected[direction][1], abs=1e-4)
            assert of_query == pytest.approx(expected[direction][2], abs=1e-4)


@pytest.mark.parametrize(
    ("captions", "n_searched"),
    [(CAPTIONS[0], N), (CAPTIONS[1], N), ([1] * (N - 1) + [9], 14)],
    ids=["two captions", "more of one item", "fewer other rows than matches"],
)
@pytest.mark.parametrize("aligner", [ScoreStandardization, MeanRotation])
def test_fit_effects_are_the_changes_of_tasks_after_fits_without_the_group(
    aligner: type[MeanRotation], captions: list[int], n_searched: int, rng: np.random.Generator
) -> None:
    fit, test = halves_with(rng, captions)
    test = test.take(np.arange(N - n_searched, N))
    group = np.arange(N) % N_FIT_GROUPS
    fitted = aligner().fit(fit)
    data = searched(test, fitted)
    effects = fit_effects(data, fitted, test.unit(), fit, group)
    whole, changes = means(data), []
    for number in range(N_FIT_GROUPS):
        remaining = fit.take(np.flatnonzero(group != number))
        reduced = means(searched(test, aligner().fit(remaining)))
        changes.append({name: -remaining.n_items / N * (reduced[name] - whole[name]) for name in whole})
    linear = {"same_modality_ratio", "fairness", "mixed_share_of_restricted"}
    assert linear - {"same_modality_ratio"} < effects.keys()
    for name in whole.keys() & effects.keys() - linear:
        expected = np.array([change[name] for change in changes])
        tolerance = 0.01 if name == "exchange_R@1" else 1e-6  # all fits share one ratio of the spreads there
        assert effects[name].sums == pytest.approx(expected - expected.mean(), abs=tolerance), name
    assert np.any(effects["mixed_MRR"].sums)


def test_fit_effects_of_large_sets_are_empty(halves: tuple[Pairs, Pairs], monkeypatch: pytest.MonkeyPatch) -> None:
    fit, test = halves
    fitted = ScoreStandardization().fit(fit)
    monkeypatch.setattr(module, "MAX_SCORES", 4 * N**2 - 1)
    assert fit_effects(searched(test, fitted), fitted, test.unit(), fit, np.zeros(N, dtype=int)) == {}

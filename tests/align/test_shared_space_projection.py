"""SharedSpaceProjection: its estimators on simulated pairs, its refusals and its warnings."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus import InputError, IsthmusWarning
from isthmus.align import SharedSpaceProjection


def latent(rng: np.random.Generator, *, paired: bool, rotated: bool) -> tuple[np.ndarray, np.ndarray]:
    """Sixty dimensions, twelve of them shared, five specific to each side, and a little noise."""
    n, d, k = 1500, 60, 12
    u = rng.normal(size=(n, k))
    x, y = 0.02 * rng.normal(size=(2, n, d))
    x[:, :k] += u
    y[:, :k] += u if paired else rng.normal(size=(n, k))
    x[:, 20:25] += rng.normal(size=(n, 5))
    y[:, 30:35] += rng.normal(size=(n, 5))
    if rotated:
        y = y @ np.linalg.qr(rng.normal(size=(d, d)))[0]
    return x, y


@pytest.mark.filterwarnings("ignore:The rows match, but the modalities are rotated")
@pytest.mark.parametrize("rotated", [False, True])
def test_paired_estimator_finds_the_shared_directions(rng: np.random.Generator, rotated: bool) -> None:
    x, y = latent(rng, paired=True, rotated=rotated)
    ssp = SharedSpaceProjection(estimator="paired", center=True).fit(x, y)
    a, b = ssp.transform(x, y)
    assert ssp.fit_info_["shared"] == 12
    assert np.mean(np.sum(a * b, axis=1)) > 0.95
    assert np.linalg.norm(ssp.matrix_x[:12], axis=0).min() > 0.99  # the true directions
    if rotated:
        with pytest.raises(InputError, match="no shared space"):
            _ = SharedSpaceProjection().fit(x, y).map_x_


def test_paired_estimator_on_unrelated_rows_is_refused(rng: np.random.Generator) -> None:
    x, y = latent(rng, paired=False, rotated=False)
    with pytest.raises(InputError, match="matching rows vary together in no direction beyond chance"):
        _ = SharedSpaceProjection(estimator="paired").fit(x, y).map_x_
    found = SharedSpaceProjection().fit(x, y)
    _ = found.map_x_
    assert found.fit_info_["shared"] == 12  # one subspace, but no partners: the other question


def test_projection_with_large_k_or_few_items_warns_or_is_refused(rng: np.random.Generator) -> None:
    x, y = latent(rng, paired=True, rotated=False)
    with pytest.warns(IsthmusWarning, match="got k=40 directions, but the data support 12"):
        _ = SharedSpaceProjection(estimator="paired", k=40, judge=False).fit(x, y).map_x_
    assert SharedSpaceProjection(estimator="paired", k=3, judge=False).fit(x, y).transform_x(x).shape == (1500, 3)
    with pytest.raises(InputError, match="9 items are too few to tell a shared space from chance, expected 10"):
        _ = SharedSpaceProjection(estimator="paired").fit(x[:9], y[:9]).map_x_


def test_projection_with_few_rows_or_guaranteed_overlap_warns(rng: np.random.Generator) -> None:
    x, y = latent(rng, paired=True, rotated=False)
    with pytest.warns(IsthmusWarning, match="59 items are fewer than the 60 dimensions: weak directions are missed"):
        _ = SharedSpaceProjection(judge=False).fit(x[:59], y[:59]).map_x_
    with pytest.warns(IsthmusWarning, match="59 items are fewer than the 60 dimensions: the ranks grow"):
        _ = SharedSpaceProjection(estimator="published", tolerance=0.1, judge=False).fit(x[:59], y[:59]).map_x_
    # Any two subspaces of 8 dimensions in a width of 12 share four. These share five.
    a, b = (np.linalg.qr(rng.normal(size=(12, 8)))[0] for _ in range(2))
    b[:, :5] = a[:, :5]
    u, v = rng.normal(size=(2, 4000, 8))
    found = SharedSpaceProjection(estimator="published", energy=1.0).fit(u @ a.T, v @ b.T)
    with pytest.warns(IsthmusWarning, match=r"4 of the 5 shared dimensions are guaranteed: any two .* 8 and 8"):
        _ = found.map_x_
    b = rng.normal(size=(12, 8))
    with pytest.raises(InputError, match="all 4 shared dimensions are guaranteed"):
        _ = SharedSpaceProjection(estimator="published", energy=1.0).fit(u @ a.T, v @ np.linalg.qr(b)[0].T).map_x_


@pytest.mark.parametrize(
    ("strong_x", "strong_y", "kept"), [((3, 1), (1, 1), 0), ((1, 1), (1, 3), 1), ((4, 1), (1, 2), 0)]
)
def test_projection_on_k_directions_keeps_those_with_the_most_energy_of_both_modalities(
    rng: np.random.Generator, strong_x: tuple[float, float], strong_y: tuple[float, float], kept: int
) -> None:
    u = rng.normal(size=(500, 2))
    x, y = 0.01 * rng.normal(size=(2, 500, 12))
    x[:, :2] += u * strong_x
    y[:, :2] += u * strong_y
    projection = SharedSpaceProjection(k=1, judge=False, normalize=False).fit(x, y)
    assert np.abs(projection.matrix_x[:, 0]).argmax() == kept
    assert projection.fit_info_["shared"] == 2

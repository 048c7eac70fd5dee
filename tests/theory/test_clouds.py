"""The exact loss of two von Mises-Fisher clouds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from isthmus.theory import cloud_loss, hyperplanes, info_nce
from isthmus.utils.errors import InputError


@pytest.mark.parametrize(
    ("dim", "centres", "value"),
    [
        (3, "shared", -0.39633),
        (3, "orthogonal", -0.76399),
        (8, "shared", -3.42933),
        (8, "orthogonal", -3.72950),
    ],
)
def test_cloud_loss_equals_reference_values(dim, centres, value):
    loss = cloud_loss(dim, kappa=10.0, temperature=0.2, angle=60, centres=centres)
    assert loss == pytest.approx(value, abs=1e-5)


def test_cloud_loss_of_wide_clouds_is_lower_in_the_shared_space():
    values = [
        cloud_loss(8, kappa=2.0, temperature=0.05, angle=80, centres=centres) for centres in ("shared", "orthogonal")
    ]
    assert values == pytest.approx([-11.6630, -11.6097], abs=1e-4)


def test_cloud_loss_agrees_with_a_sample():
    rng = np.random.default_rng(0)
    n, kappa, tau = 4000, 10.0, 0.2
    turn = rng.vonmises(0.0, kappa, n)
    frame = hyperplanes(3, 60)
    coordinates = np.stack([np.sin(turn), np.cos(turn)], axis=1)
    loss = info_nce(coordinates @ frame.x.T, coordinates @ frame.y.T, temperature=tau)
    exact = cloud_loss(3, kappa=kappa, temperature=tau, angle=60, centres="orthogonal")
    assert loss - 2 * math.log(n) == pytest.approx(exact, abs=0.05)


def test_cloud_loss_refuses_arguments_out_of_range():
    with pytest.raises(InputError, match="dim = 2, expected a whole number in"):
        cloud_loss(2, kappa=1.0, temperature=0.2, angle=60, centres="shared")
    with pytest.raises(InputError, match="'shared' or 'orthogonal'"):
        cloud_loss(3, kappa=1.0, temperature=0.2, angle=60, centres="both")

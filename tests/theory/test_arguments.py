"""Arguments of the wrong type get one sentence from every function of the theory."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import InputError, theory
from isthmus.theory import Cone, Stop, Unconstrained, VonMisesFisher

AXIS = np.eye(4)[0]
CALLS: dict[str, Callable[[Any], Any]] = {
    "uniform_bound": lambda v: theory.uniform_bound(v, temperature=0.1),
    "uniform_bound_is_proved": lambda v: theory.uniform_bound_is_proved(v, temperature=0.1),
    "finite_bound": lambda v: theory.finite_bound(v, temperature=0.1),
    "simplex_optimum": lambda v: theory.simplex_optimum(2, v, temperature=0.1),
    "cone_function": lambda v: theory.cone_function(v, kappa=1.0, dim=3, temperature=0.1),
    "cone_is_monotone": lambda v: theory.cone_is_monotone(kappa=1.0, dim=v, temperature=0.1),
    "subspace_function": lambda v: theory.subspace_function(0.1, 0.1, 0.1, kappa=v, dim=3, temperature=0.1),
    "affine_infimum": lambda v: theory.affine_infimum(v, radius=0.5, temperature=0.1),
    "orthogonal_centres_value": lambda v: theory.orthogonal_centres_value(5, mean_length=v, temperature=0.1),
    "collapse_margin": lambda v: theory.collapse_margin(v, angle=60.0, temperature=0.1),
    "cloud_loss": lambda v: theory.cloud_loss(4, kappa=v, temperature=0.1, angle=60.0, centres="shared"),
    "hyperplane_ceiling": lambda v: theory.hyperplane_ceiling(v, 0.2, angle=60.0),
    "hyperplanes": lambda v: theory.hyperplanes(v, 60.0),
    "Cone": lambda v: Cone(resultant=v),
    "Stop": lambda v: Stop(max_steps=v),
    "optimise": lambda v: theory.optimise(Unconstrained(), n=4, dim=3, temperature=0.5, rng=v),
    "VonMisesFisher": lambda v: VonMisesFisher(AXIS, v),
    "sample": lambda v: VonMisesFisher(AXIS, 1.0).sample(v, rng=0),
    "info_nce": lambda v: theory.info_nce(np.eye(4), np.eye(4), temperature=1.0, block=v),
    "check": lambda v: theory.check(isthmus.demo.load("plain", split="test"), sample=v),
}


@pytest.mark.parametrize("value", ["a", None, True, [1.0], math.nan])
@pytest.mark.parametrize("name", CALLS)
def test_argument_of_the_wrong_type_is_refused_in_one_sentence(name: str, value: Any) -> None:
    with pytest.raises(InputError, match="expected") as caught:
        CALLS[name](value)
    assert len(str(caught.value)) <= 300
    assert "\n" not in str(caught.value)

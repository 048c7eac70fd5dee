"""What is measured of one arrangement of pairs."""

import math

import numpy as np
import pytest

from isthmus.theory.trajectory import measure_state
from isthmus.utils.errors import InputError


def test_measure_state_of_identical_rows_has_no_noise_floor():
    same = np.tile([[0.6, 0.8]], (5, 1))
    state = measure_state(same, same[:, ::-1])
    assert state.gap == pytest.approx(2 * math.degrees(math.atan2(0.8, 0.6)) - 90.0)
    assert state.floor == 0.0
    assert state.isometry == 0.0


def test_measure_state_of_zero_means_defines_a_gap_at_the_level_of_the_test():
    """Rows in few directions, as in real embeddings, without a mean; a mean of 0.3 is always seen."""
    rng = np.random.default_rng(5)
    scales = np.linspace(1, 0.02, 30) ** 3
    real = []
    for _ in range(600):
        X = rng.normal(size=(60, 30)) * scales
        X /= np.linalg.norm(X, axis=1, keepdims=True)
        real.append(not measure_state(X, np.tile(np.eye(30)[:1], (60, 1))).reason)
    # The classical test, which counts every direction alike, calls 6.5 % of these clouds real.
    assert 0.002 <= np.mean(real) <= 0.03
    assert not measure_state(X + 0.3 * np.eye(30)[29], X + 0.3 * np.eye(30)[29]).reason


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.eye(3), np.eye(3)[:2], r"got arrays of shapes \(3, 3\) and \(2, 3\), expected two of the same shape"),
        (np.zeros((0, 3)), np.zeros((0, 3)), "expected two of the same shape"),
        (np.eye(3), np.full((3, 3), np.nan), "the rows have NaN or infinite values"),
    ],
)
def test_state_of_unusable_rows_is_refused(x: np.ndarray, y: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        measure_state(x, y)

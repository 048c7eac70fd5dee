"""Numbers as text at the limits of each form."""

from __future__ import annotations

import math

import pytest

from isthmus.utils.format import column_numbers, json_number, number, percent, precise_number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (9999.4, "9999"),
        (9999.96, "1e+04"),
        (10000.4, "10000"),
        (-12345.6, "-12346"),
        (3.0, "3"),
        (0.00012345, "0.0001234"),
        (-0.0, "0"),
    ],
)
def test_number_from_ten_thousand_has_no_decimals(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.001, "0.001"), (0.00099, "9.90·10⁻⁴"), (999999.0, "1e+06"), (1e6, "1.00·10⁶"), (99.5, "99.5"), (100.04, "100")],
)
def test_precise_number_changes_its_form_at_the_limits(value: float, text: str) -> None:
    assert precise_number(value) == text


def test_percent_has_one_decimal() -> None:
    assert (percent(0.12345), percent(1.0), percent(0.0)) == ("12.3 %", "100.0 %", "0.0 %")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_json_number_of_what_json_lacks_is_none(value: float) -> None:
    assert json_number(value) is None
    assert json_number(0.25) == 0.25


def test_column_numbers_have_one_number_of_decimals_unless_one_needs_an_exponent() -> None:
    assert column_numbers([89.99, 89.8]) == ["89.99", "89.80"]
    assert column_numbers([-0.0004, 0.5]) == ["-0.0004", "0.5000"]
    assert column_numbers([2e-9, 0.5]) == ["2e-09", "0.5"]
    assert column_numbers([math.nan]) == ["-"]
    assert column_numbers([]) == []

"""Texts and JSON values of estimates."""

from __future__ import annotations

import pytest

from isthmus import Estimate
from isthmus.statistics.result import NAN


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(0.5, 0.4, 0.6, unit="cosine"), "0.5 [0.4, 0.6] cosine"),
        (Estimate(0.5, unit="cosine"), "0.5 cosine"),
        (Estimate(0.5), "0.5"),
        (Estimate(NAN, undefined="there is only one item", unit="cosine"), "undefined (there is only one item)"),
    ],
)
def test_text_of_an_estimate_has_interval_unit_or_reason(estimate: Estimate, text: str) -> None:
    assert str(estimate) == text


def test_dictionary_of_an_estimate_has_none_for_what_is_absent() -> None:
    assert Estimate(0.5, null=0.1, note="few items").to_dict() == {
        "value": 0.5, "low": None, "high": None, "null": 0.1, "plugin": None, "unit": "", "undefined": None,
        "note": "few items",
        "no_interval": None, "definition": None,
    }  # fmt: skip

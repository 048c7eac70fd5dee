"""The contract of measures, checked for all of them from the registry."""

from __future__ import annotations

import pytest

import isthmus
from isthmus.testing import METRIC_CHECKS, check_metric


@pytest.mark.parametrize("check", METRIC_CHECKS)
@pytest.mark.parametrize("name", isthmus.metrics.registry())
def test_metric_keeps_its_contract(name: str, check: str) -> None:
    check_metric(name, checks=[check])

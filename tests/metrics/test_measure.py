"""The front door: what is chosen, what moments alone can say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import InputError, Moments, Pairs
from isthmus.statistics.moments import moments_of


@pytest.fixture
def pairs(cones: Any) -> Pairs:
    return Pairs(image=cones[0], text=cones[1])


def test_measure_selects_groups_and_printed_names(pairs: Pairs) -> None:
    registry = isthmus.metrics.registry()
    fast = isthmus.measure(pairs, metrics="fast")
    assert set(fast) == {
        name for m in registry.values() if m.requires == "moments" for name in m.names("image", "text")
    }
    some = isthmus.measure(pairs, metrics="retrieval, rank_99_text,centroid_angle,rank_99_image")
    assert list(some)[6:] == ["rank_99_image", "rank_99_text", "centroid_angle"]
    assert next(iter(some)) == "image_to_text_R@1"
    assert list(isthmus.measure(pairs, metrics=["rank_99_{side}"])) == ["rank_99_image", "rank_99_text"]
    with pytest.raises(InputError, match="unknown measure 'rank_99_audio': did you mean"):
        isthmus.measure(pairs, metrics="rank_99_audio")


def test_measure_orders_by_family(pairs: Pairs) -> None:
    families = isthmus.metrics.families(pairs.names)
    seen = list(dict.fromkeys(families[name] for name in isthmus.measure(pairs, metrics="fast")))
    assert seen == [f for f in isthmus.metrics.FAMILIES if f in seen]
    with pytest.raises(InputError, match="unknown family 'spectra': did you mean 'spectrum'"):
        isthmus.metrics.metric("x", unit="", range=(0, 1), source="", direction="lower", family="spectra")(len)


def test_measure_of_moments_gives_the_fast_measures(pairs: Pairs) -> None:
    estimates, whole = isthmus.measure(moments_of(pairs)), isthmus.measure(pairs, metrics="fast")
    for (name, e), other in zip(estimates.items(), whole.values(), strict=True):
        assert e.plugin == pytest.approx(other.plugin, nan_ok=True), name
        if np.isnan(e.low) and not np.isnan(other.low):
            assert "it needs rows" in e.note, name
        elif not np.isnan(e.low):
            assert e.low == pytest.approx(other.low), name
    assert estimates["centroid_angle"].low < estimates["centroid_angle"].high
    assert estimates.pairs["names"] == ["x", "y"]
    with pytest.raises(InputError, match="instance_gap needs rows, and moments contain none"):
        isthmus.measure(moments_of(pairs), metrics="instance_gap")
    with pytest.raises(InputError, match="got modalities of widths 12 and 11"):
        isthmus.measure(Moments.of(pairs.unit()[0], pairs.unit()[1][:, 1:]))


def test_measure_of_an_unknown_name_proposes_a_name_as_it_is_printed() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 30, 4))
    pairs = isthmus.Pairs(image=x, text=y)
    for request, proposal in (
        ("image_to_text_hubnes", "image_to_text_hubness"),
        ("recall", "image_to_text_R@1' or 'text_to_image_R@1'"),
        ("vmf", "vmf_concentration_image' or 'vmf_concentration_text'"),
        ("text_to_image_R@2", "text_to_image_R@"),
    ):
        with pytest.raises(isthmus.InputError, match=f"did you mean '{proposal}") as caught:
            isthmus.measure(pairs, metrics=request)
        assert "{" not in str(caught.value)

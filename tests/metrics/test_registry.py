"""Registration of measures, and the cache of what they share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import Estimate, InputError, Moments, Pairs
from isthmus.metrics import Metric, MetricContext, metric, register, registry, unregister
from isthmus.metrics._negative_ends import NegativeEnds
from isthmus.metrics._neighbours import Neighbours
from isthmus.metrics._paired_rows import PairedRows
from isthmus.metrics._pairwise_sums import PairwiseSums
from isthmus.metrics._subspaces import RandomAngles, Subspaces
from isthmus.metrics._trace_estimates import TraceEstimates
from isthmus.metrics.frechet import SquaredDistances, SwappedDistances
from isthmus.metrics.margin import HalfSampleEnds
from isthmus.metrics.recall import SampledRetrieval
from isthmus.metrics.separability import Probe
from isthmus.metrics.sliced import Slices
from isthmus.statistics.moments import moments_of

ONCE_FOR_BOTH_ORDERS = (PairedRows, Neighbours, PairwiseSums, NegativeEnds, TraceEstimates, RandomAngles)
SHARED = (*ONCE_FOR_BOTH_ORDERS, Subspaces, Probe, Slices, SampledRetrieval, HalfSampleEnds, SquaredDistances)


@pytest.fixture
def context(cones: Any) -> MetricContext:
    pairs = Pairs(image=cones[0], text=cones[1])
    return MetricContext(moments_of(pairs), pairs)


@pytest.fixture
def mean_dot() -> Iterator[str]:
    @metric("mean_dot", unit="cosine", range=(-1, 1), direction="higher", source="a test")
    def compute(context: MetricContext) -> Estimate:
        """Mean inner product."""
        return Estimate(context.moments.mean_paired)

    yield "mean_dot"
    unregister("mean_dot")


@pytest.mark.parametrize("work", [*SHARED, SwappedDistances])
def test_shared_work_is_computed_once(context: MetricContext, work: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    compute = work.from_context
    monkeypatch.setattr(work, "from_context", lambda context: calls.append(work) or compute(context))
    assert context.shared(work) is context.shared(work)
    if work in ONCE_FOR_BOTH_ORDERS:
        assert context.swapped().shared(work) is context.swapped().shared(work)
    assert len(calls) == 1


@pytest.mark.parametrize("work", ONCE_FOR_BOTH_ORDERS)
def test_shared_work_is_computed_in_the_order_of_the_pairs(
    context: MetricContext, work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    contexts = []
    compute = work.from_context
    monkeypatch.setattr(work, "from_context", lambda context: contexts.append(context) or compute(context))
    context.swapped().shared(work)
    context.shared(work)
    assert contexts == [context]


def test_measure_computes_neighbours_and_pairwise_sums_once(cones: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    for work in (Neighbours, PairwiseSums, TraceEstimates, PairedRows, Probe, Slices):
        compute = work.from_context
        monkeypatch.setattr(
            work, "from_context", lambda context, work=work, compute=compute: calls.append(work) or compute(context)
        )
    isthmus.measure(Pairs(image=cones[0], text=cones[1]))
    assert sorted(map(str, calls)) == sorted(set(map(str, calls)))
    assert len(calls) == 6


def test_swapped_context_exchanges_everything(context: MetricContext) -> None:
    swapped = context.swapped()
    assert swapped.swapped() is context
    assert swapped.original is context.original is context
    assert swapped.x is context.y
    assert swapped.names == ("text", "image")
    np.testing.assert_array_equal(swapped.cross_cosines, context.cross_cosines.T)
    assert swapped.influence_sample is not None
    assert context.influence_sample is not None
    assert swapped.influence_sample.x is context.influence_sample.y
    np.testing.assert_array_equal(swapped.shared(PairedRows).x, context.shared(PairedRows).y)
    assert swapped.shared(TraceEstimates).plug_in["x"] == context.shared(TraceEstimates).plug_in["y"]
    assert swapped.shared(RandomAngles) is context.shared(RandomAngles)


def test_context_of_moments_has_no_influence_sample(cones: Any) -> None:
    context = MetricContext(Moments.of(*cones))
    assert context.influence_sample is None
    assert context.swapped().influence_sample is None


def test_metric_with_five_arguments_has_defaults(mean_dot: str, cones: Any) -> None:
    entry = registry()[mean_dot]
    assert (entry.requires, entry.invariances, entry.family) == ("moments", ("rotation", "row scale"), "others")
    assert entry.reference_case is None
    estimate = isthmus.measure(Pairs(image=cones[0], text=cones[1]), metrics="mean_dot")["mean_dot"]
    assert estimate.no_interval == "the measure declares none"
    assert (estimate.unit, estimate.definition) == ("cosine", "Mean inner product.")


def test_register_refuses_a_name_that_exists() -> None:
    existing = registry()["cka"]
    with pytest.raises(InputError, match="measure 'cka' is registered twice"):
        register(Metric("cka", lambda context: Estimate(0.0), "share", (0, 1), "higher", "a test"))
    assert registry()["cka"] is existing


def test_register_accepts_the_same_function_defined_again(mean_dot: str) -> None:
    source = "def compute(context):\n    return None\n"
    functions = []
    for _ in range(2):
        namespace: dict[str, Any] = {"__name__": "notebook"}
        exec(source, namespace)
        functions.append(namespace["compute"])
        register(Metric("from_a_notebook", functions[-1], "share", (0, 1), "higher", "a test"))
    assert unregister("from_a_notebook").compute is functions[1]


def test_unregister_refuses_an_unknown_name() -> None:
    with pytest.raises(InputError, match="unknown measure 'ckaa': did you mean 'cka'"):
        unregister("ckaa")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"direction": "up"}, "unknown direction 'up'"),
        ({"requires": "row"}, "unknown requirement 'row': did you mean 'rows'"),
        ({"invariances": ("rotations",)}, "unknown invariance 'rotations': did you mean 'rotation'"),
        ({"family": "spectra"}, "unknown family 'spectra': did you mean 'spectrum'"),
    ],
)
def test_metric_refuses_an_unknown_value(option: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        metric("a", **{"unit": "share", "range": (0, 1), "direction": "lower", "source": "a test", **option})(len)


def test_registry_finds_a_new_module_of_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "new_measure.py").write_text(
        "from isthmus import Estimate\n"
        "from isthmus.metrics import metric\n\n\n"
        "@metric('new_measure', unit='share', range=(0, 1), direction='lower', source='a test')\n"
        "def new_measure(context):\n"
        "    return Estimate(0.5)\n"
    )
    fresh = isthmus.utils.registry.Registry[Metric]("measure", package="isthmus.metrics")
    monkeypatch.setattr("isthmus.metrics._metric._MEASURES", fresh)
    monkeypatch.setattr(isthmus.metrics, "__path__", [str(tmp_path)])
    assert list(registry()) == ["new_measure"]
    sys.modules.pop("isthmus.metrics.new_measure")
    del isthmus.metrics.new_measure  # type: ignore[attr-defined]


def test_registry_does_not_depend_on_the_order_of_imports() -> None:
    families = [entry.family for entry in registry().values()]
    assert families == sorted(families, key=isthmus.metrics.FAMILIES.index)
    modules = [(entry.family, entry.compute.__module__) for entry in registry().values()]
    assert modules == sorted(modules, key=lambda pair: (isthmus.metrics.FAMILIES.index(pair[0]), pair[1]))

"""The contract of aligners, checked for all of them from the registry, and aligners that break it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import isthmus
from isthmus import InputError, Moments, align
from isthmus.align import Affine, Aligner
from isthmus.testing import ALIGNER_CHECKS, check_aligner


@pytest.mark.parametrize("check", ALIGNER_CHECKS)
@pytest.mark.parametrize("name", align.registry())
def test_aligner_keeps_its_contract(name: str, check: str) -> None:
    check_aligner(name, checks=[check])


def test_check_aligner_with_an_unknown_check_is_refused() -> None:
    with pytest.raises(InputError, match=r"unknown check 'filee': did you mean 'file'"):
        check_aligner("Centering", checks=["filee"])
    with pytest.raises(InputError, match="unknown aligner 'Centring'"):
        check_aligner("Centring")


@pytest.fixture(autouse=True)
def clean_registry() -> Iterator[None]:
    before = align.registry()
    yield
    for name in set(align.registry()) - set(before):
        align.unregister(name)


def shifted(moments: Moments) -> tuple[Affine, Affine]:
    return Affine(bias=-moments.mean_x), Affine(bias=-moments.mean_y)


def broken_aligners() -> dict[str, tuple[str, Any, str]]:
    """Return the check that fails, a function that defines the class, and the message, by the broken promise."""

    def no_source() -> type[Aligner]:
        @dataclass(kw_only=True, eq=False)
        class NoSource(Aligner):
            """>>> 1"""

            solve = lambda self, moments: shifted(moments)  # noqa: E731

        return NoSource

    def attribute_in_constructor() -> type[Aligner]:
        @dataclass(kw_only=True, eq=False)
        class AttributeInConstructor(Aligner):
            def __post_init__(self) -> None:
                self.extra_ = 1

            solve = lambda self, moments: shifted(moments)  # noqa: E731

        return AttributeInConstructor

    def state_outside() -> type[Aligner]:
        @dataclass(kw_only=True, eq=False)
        class StateOutside(Aligner):
            mean: ClassVar[Any] = 0.0

            def solve(self, moments: Moments) -> tuple[Affine, Affine]:
                vars(self)["mean"] = moments.mean_x
                return shifted(moments)

            def transform_x(self, X: Any, /) -> Any:
                return super().transform_x(X) + self.mean

        return StateOutside

    def hidden_pairing() -> type[Aligner]:
        @dataclass(kw_only=True, eq=False)
        class HiddenPairing(Aligner):
            def solve(self, moments: Moments) -> tuple[Affine, Affine]:
                return Affine(moments.cov_xy), Affine()

        return HiddenPairing

    def two_dims() -> type[Aligner]:
        @dataclass(kw_only=True, eq=False)
        class TwoDims(Aligner):
            def solve(self, moments: Moments) -> tuple[Affine, Affine]:
                return Affine(np.eye(moments.dim_x, 3)), Affine()

        return TwoDims

    def rows_only() -> type[Aligner]:
        @dataclass(kw_only=True, eq=False)
        class LastBlock(Aligner):
            def partial_fit(self, X: Any, Y: Any = None, /, **options: Any) -> Any:
                return self.fit(X, Y)

            solve = lambda self, moments: shifted(moments)  # noqa: E731

        return LastBlock

    def not_unit() -> type[Aligner]:
        @dataclass(kw_only=True, eq=False)
        class NotUnit(Aligner):
            def transform_x(self, X: Any, /) -> Any:
                return 2 * super().transform_x(X)

            solve = lambda self, moments: shifted(moments)  # noqa: E731

        return NotUnit

    def one_map() -> type[Aligner]:
        @dataclass(kw_only=True, eq=False)
        class OneMap(Aligner):
            solve = lambda self, moments: Affine()  # noqa: E731

        return OneMap

    def scalar_bias() -> type[Aligner]:
        @dataclass(kw_only=True, eq=False)
        class ScalarBias(Aligner):
            solve = lambda self, moments: (Affine(bias=0.5), Affine())  # type: ignore[arg-type] # noqa: E731

        return ScalarBias

    def short_bias() -> type[Aligner]:
        @dataclass(kw_only=True, eq=False)
        class ShortBias(Aligner):
            solve = lambda self, moments: (Affine(bias=np.ones(3)), Affine())  # noqa: E731

        return ShortBias

    def undefined_map() -> type[Aligner]:
        @dataclass(kw_only=True, eq=False)
        class UndefinedMap(Aligner):
            solve = lambda self, moments: (Affine(np.nan * np.eye(40)), Affine())  # noqa: E731

        return UndefinedMap

    def arrays() -> type[Aligner]:
        @dataclass(kw_only=True, eq=False)
        class Arrays(Aligner):
            solve = lambda self, moments: (np.eye(40), np.eye(40))  # noqa: E731

        return Arrays

    def option_without_type() -> type[Aligner]:
        @dataclass(kw_only=True, eq=False)
        class OptionWithoutType(Aligner):
            weight = 0.5
            solve = lambda self, moments: shifted(moments)  # noqa: E731

        return OptionWithoutType

    def no_docstring() -> type[Aligner]:
        @dataclass(kw_only=True, eq=False)
        class NoDocstring(Aligner):
            solve = lambda self, moments: shifted(moments)  # noqa: E731

        return NoDocstring

    def no_solution() -> type[Aligner]:
        class NoSolution(Aligner): ...

        return NoSolution

    def private_name() -> type[Aligner]:
        @dataclass(kw_only=True, eq=False)
        class _Private(Aligner):
            solve = lambda self, moments: shifted(moments)  # noqa: E731

        return _Private

    def failing() -> type[Aligner]:
        @dataclass(kw_only=True, eq=False)
        class Failing(Aligner):
            solve = lambda self, moments: moments.mean_z  # noqa: E731

        return Failing

    return {
        "one map": ("maps", one_map, "OneMap: solve returned Affine, expected two maps"),
        "scalar bias": ("maps", scalar_bias, r"bias has shape \(\), expected \(40,\)"),
        "short bias": ("maps", short_bias, r"bias has shape \(3,\), expected \(40,\)"),
        "undefined map": ("maps", undefined_map, "matrix has values that are not finite"),
        "arrays": ("maps", arrays, "solve returned ndarray, expected Affine for each modality"),
        "failing": ("maps", failing, "aligner Failing, check 'maps': AttributeError: .*mean_z"),
        "option": ("declaration", option_without_type, "weight has no type, so that it is no option"),
        "docstring": ("declaration", no_docstring, "there is no docstring"),
        "no solve": ("declaration", no_solution, "does not implement `solve`"),
        "private name": ("declaration", private_name, "the name starts with '_', so that it is not registered"),
        "source": ("declaration", no_source, "the class attribute `source` is empty"),
        "constructor": ("options", attribute_in_constructor, r"the constructor sets \['extra_'\]"),
        "state": ("file", state_outside, "before saving"),
        "pairing": ("pairing", hidden_pairing, "of another pairing"),
        "dimensions": ("rows", two_dims, "x and y get different dimensions"),
        "unit rows": ("rows", not_unit, "of unit rows"),
        "blocks": ("blocks", rows_only, "of one fit"),
    }


@pytest.mark.parametrize("promise", broken_aligners())
def test_check_aligner_with_a_broken_promise_fails(promise: str) -> None:
    check, define, message = broken_aligners()[promise]
    with pytest.raises(AssertionError, match=message):
        check_aligner(define(), checks=[check])


def test_check_aligner_of_another_object_says_what_to_pass() -> None:
    with pytest.raises(AssertionError, match="aligner Centering: is an instance; pass the class"):
        check_aligner(align.Centering())  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="expected a subclass of isthmus.align.Aligner, or its name"):
        check_aligner(dict)  # type: ignore[arg-type]


def test_checks_of_aligners_are_documented() -> None:
    for check in ALIGNER_CHECKS:
        assert f"- '{check}':" in str(check_aligner.__doc__)


def test_new_aligner_is_registered_and_keeps_the_contract() -> None:
    @dataclass(kw_only=True, eq=False)
    class HalfCentering(Aligner):
        """Subtract a part of each mean.

        >>> HalfCentering().weight
        0.5
        """

        weight: float = 0.5
        uses_means: ClassVar[bool] = True
        source: ClassVar[str] = "this test"

        def solve(self, moments: Moments) -> tuple[Affine, Affine]:
            return Affine(bias=-self.weight * moments.mean_x), Affine(bias=-self.weight * moments.mean_y)

    assert align.get("half-centering") is HalfCentering is isthmus.align.HalfCentering  # type: ignore[attr-defined]
    check_aligner(HalfCentering)


def test_load_of_an_aligner_of_a_missing_package_says_what_to_do(cones: Any, tmp_path: Path) -> None:
    @dataclass(kw_only=True, eq=False)
    class Removed(Aligner):
        solve = lambda self, moments: shifted(moments)  # noqa: E731

    Removed().fit(*cones).save(tmp_path / "a.safetensors")
    align.unregister("Removed")
    with pytest.raises(InputError, match="holds an aligner 'Removed', which is unknown; import or install the package"):
        isthmus.load(tmp_path / "a.safetensors")


def test_second_class_of_a_name_is_refused() -> None:
    with pytest.raises(InputError, match="aligner 'Centering' is registered twice; choose another name"):

        class Centering(Aligner):
            def solve(self, moments: Moments) -> tuple[Affine, Affine]:
                return Affine(), Affine()

    assert align.get("Centering") is align.Centering


def test_private_and_abstract_subclasses_are_not_registered() -> None:
    class _Helper(Aligner):
        def solve(self, moments: Moments) -> tuple[Affine, Affine]:
            return Affine(), Affine()

    class NoSolution(Aligner): ...

    assert not {"_Helper", "NoSolution", "Aligner", "Fitting"} & set(align.registry())
    with pytest.raises(TypeError, match="abstract"):
        NoSolution()  # type: ignore[abstract]


def test_register_after_unregister_restores_the_class() -> None:
    cls = align.unregister("Centering")
    assert "Centering" not in align.registry()
    assert align.register(cls) is align.get("centering")
    with pytest.raises(InputError, match="unknown aligner 'Nothing'"):
        align.unregister("Nothing")


def test_new_file_in_the_folder_is_found_without_an_edit(tmp_path: Path) -> None:
    (tmp_path / "doubling.py").write_text(
        "from isthmus.align import Affine, Aligner\n"
        "import numpy as np\n"
        "class Doubling(Aligner):\n"
        "    def solve(self, moments):\n"
        "        return Affine(2 * np.eye(moments.dim_x)), Affine()\n"
    )
    code = (
        "import sys, isthmus\n"
        "isthmus.align.__path__.append(sys.argv[1])\n"
        "assert isthmus.align.Doubling is isthmus.align.get('doubling')\n"
        "assert not hasattr(isthmus.align, 'Tripling') and not hasattr(isthmus.align, 'tripling')\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


def test_import_of_align_loads_no_sklearn_or_torch() -> None:
    code = "import sys, isthmus.align; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"sklearn", "torch", "matplotlib"} & set(modules)


def test_set_params_after_fit_solves_again_from_the_moments(cones: Any) -> None:
    x, y = cones
    aligner = align.PartialWhitening(alpha=0.1).fit(x, y)
    before = aligner.transform_x(x)
    aligner.set_params(alpha=0.4)
    np.testing.assert_array_equal(aligner.transform_x(x), align.PartialWhitening(alpha=0.4).fit(x, y).transform_x(x))
    assert np.abs(aligner.transform_x(x) - before).max() > 1e-3
    aligner.set_params(alpha=-1.0)
    with pytest.raises(InputError, match="alpha=-1.0, lam=3.0: expected at least 0"):
        aligner.transform_x(x)
    with pytest.raises(isthmus.utils.errors.NotFittedError):  # moments of other rows
        aligner.set_params(normalize=False).transform_x(x)


@pytest.mark.parametrize(
    ("aligner", "message"),
    [
        (align.Blend(weight=1.5), "expected weight from 0 to 1"),
        (align.KernelBlend(lam=-1.0), "the others at least 0"),
        (align.RidgeCCA(k=0), "k=0: expected at least 0, 0 and 1"),
        (align.RidgeMap(direction="up"), "direction='up'"),
        (align.RidgeMap(ridge=-1.0), "ridge=-1.0"),
        (align.DifferenceWhitening(before_lam=-1.0), "before_lam=-1.0: expected at least 0"),
        (align.SharedSignal(floor=-1.0), "floor=-1.0"),
        (align.OrthogonalShift(retrieved="z"), "retrieved='z', expected 'x' or 'y'"),
        (align.OrthogonalShift(energy=0.0), "energy=0.0, expected a fraction above 0"),
        (align.HyperplaneRotation(energy=1.1), "energy=1.1, expected a fraction above 0 and up to 1"),
        (
            align.SharedSpaceProjection(estimator="cca"),
            "estimator='cca', expected 'significant', 'published' or 'paired'",
        ),
        (align.SharedSpaceProjection(tolerance=1.0), "tolerance=1.0"),
        (align.ScoreStandardization(normalize=False), "got normalize=False, expected True"),
        (align.RidgeCCA(k="two"), "RidgeCCA got k='two', expected a whole number"),  # type: ignore[arg-type]
        (align.Procrustes(center="no"), "center='no', expected True or False such as True"),  # type: ignore[arg-type]
        (align.Translation(delta="far"), "delta='far', expected a number such as 1.0"),  # type: ignore[arg-type]
    ],
)
def test_fit_with_an_invalid_option_is_refused(cones: Any, aligner: Aligner, message: str) -> None:
    with pytest.raises(InputError, match=message):
        aligner.fit(*cones)


@pytest.mark.parametrize("name", ["MeanRotation", "HyperplaneRotation", "Procrustes"])
@pytest.mark.filterwarnings("ignore::isthmus.IsthmusWarning")
def test_rotation_of_any_rows_is_orthogonal(name: str, cones: Any, rng: np.random.Generator) -> None:
    """The error is below 1e-12, also for means and subspaces that are nearly equal or nearly opposite."""
    x, y = cones
    clouds = [(x, y), (x, x + 1e-9 * y), (x, -x + 1e-7 * y), tuple(rng.normal(size=(2, 300, 200)) + 0.1)]
    for a, b in clouds:
        rotation = align.get(name)().fit(a, b).matrix_x
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(len(rotation)), atol=1e-12)

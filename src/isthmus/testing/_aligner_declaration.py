"""Checks of what an aligner class declares, and of the maps that `solve` returns."""

from __future__ import annotations

import dataclasses
from typing import Any
from unittest import mock

import numpy as np

from isthmus.align import Affine, Aligner, registry
from isthmus.statistics.moments import Moments

AlignerClass = type[Aligner]


def require(cls: AlignerClass, condition: bool, message: str) -> None:
    """Raise AssertionError with the name of the class unless a condition holds."""
    if not condition:
        raise AssertionError(f"aligner {cls.__name__}: {message}")


def require_class(aligner: object) -> None:
    """Raise AssertionError unless this is a subclass of `Aligner`."""
    if isinstance(aligner, Aligner):
        raise AssertionError(f"aligner {type(aligner).__name__}: is an instance; pass the class")
    if not (isinstance(aligner, type) and issubclass(aligner, Aligner)):
        raise AssertionError(f"aligner {aligner!r}: expected a subclass of isthmus.align.Aligner, or its name")


def check_declaration(cls: AlignerClass) -> None:
    """Check the name, the options, the class attributes and the docstring of a class."""
    has_solve = not getattr(cls.solve, "__isabstractmethod__", False)
    require(cls, has_solve, "does not implement `solve`, so that it is not registered")
    require(cls, not cls.__name__.startswith("_"), "the name starts with '_', so that it is not registered")
    require(cls, registry().get(cls.__name__) is cls, "the registry does not hold the class under its name")
    is_own_dataclass = "__dataclass_params__" in vars(cls) or not vars(cls).get("__annotations__")
    require(cls, dataclasses.is_dataclass(cls) and is_own_dataclass, "the decorator @dataclass is missing")
    for name in _attributes_without_annotation(cls):
        require(cls, False, f"{name} has no type, so that it is no option; write `{name}: float = ...`, or ClassVar")
    for option in dataclasses.fields(cls):
        has_default = option.default is not dataclasses.MISSING or option.default_factory is not dataclasses.MISSING
        require(cls, has_default and bool(option.kw_only), f"option {option.name} needs a default and kw_only=True")
    documentation = vars(cls).get("__doc__") or ""
    # A dataclass without a docstring gets its signature as one.
    require(cls, bool(documentation) and not documentation.startswith(f"{cls.__name__}("), "there is no docstring")
    require(cls, ">>>" in documentation, "the docstring has no example")
    require(cls, bool(cls.source), "the class attribute `source` is empty")


def _attributes_without_annotation(cls: AlignerClass) -> list[str]:
    """Return the numbers, strings and other plain values that the class holds without a type."""
    annotations = vars(cls).get("__annotations__", {})
    plain = (bool, int, float, str, tuple, list, dict, set, type(None))
    return [
        name
        for name, value in vars(cls).items()
        if isinstance(value, plain)
        and not name.startswith("_")
        and name not in annotations
        and not any(hasattr(base, name) for base in cls.__bases__)
    ]


def check_maps(cls: AlignerClass, x: np.ndarray, y: np.ndarray) -> None:
    """Check that `solve` returns two maps of finite numbers with the shapes (d, k) and (k,)."""
    if cls.corrects_scores:
        return
    solutions: list[Any] = []
    solve = cls.solve

    def recording_solve(aligner: Aligner, moments: Moments) -> Any:
        solutions.append(solve(aligner, moments))
        return solutions[-1]

    try:
        with mock.patch.object(cls, "solve", recording_solve):
            _ = cls().fit(x, y).map_x_
    except Exception:
        if not solutions:
            raise
    for solution in solutions:
        is_pair = isinstance(solution, tuple) and len(solution) == 2
        kind = f"{len(solution)} values" if isinstance(solution, tuple) else type(solution).__name__
        require(cls, is_pair, f"solve returned {kind}, expected two maps")
        for mapping in solution:
            require(
                cls, callable(mapping), f"solve returned {type(mapping).__name__}, expected Affine for each modality"
            )
            if isinstance(mapping, Affine):
                _check_affine(cls, mapping, x.shape[1])


def _check_affine(cls: AlignerClass, mapping: Affine, dim: int) -> None:
    n_columns = dim
    if mapping.matrix is not None:
        shape = np.shape(mapping.matrix)
        require(cls, len(shape) == 2 and shape[0] == dim, f"matrix has shape {shape}, expected ({dim}, k)")
        n_columns = shape[1]
    if mapping.bias is not None:
        shape = np.shape(mapping.bias)
        require(cls, shape == (n_columns,), f"bias has shape {shape}, expected ({n_columns},)")
    for name, values in (("matrix", mapping.matrix), ("bias", mapping.bias)):
        require(cls, values is None or bool(np.isfinite(values).all()), f"{name} has values that are not finite")

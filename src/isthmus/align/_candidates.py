"""Candidates of `Auto`: row maps, score corrections, and score corrections behind row maps."""

from __future__ import annotations

import dataclasses
from typing import Any

from isthmus.align._base import Aligner
from isthmus.align.blend import Blend
from isthmus.align.centering import Centering
from isthmus.align.difference_whitening import DifferenceWhitening
from isthmus.align.identity import Identity
from isthmus.align.kernel_blend import KernelBlend
from isthmus.align.partial_whitening import PartialWhitening
from isthmus.align.ridge_cca import RidgeCCA
from isthmus.align.score_calibration import ScoreCalibration
from isthmus.align.score_standardization import ScoreStandardization
from isthmus.align.shared_signal import SharedSignal

AIMS = ("search", "retrieval", "classification")
CONSTRAINTS = ("none", "rows", "no_pairs", "affine")
#: Candidate that aim='search' starts from, because it does well without any choice.
DEFAULT = "ScoreCalibration"
#: Options of the candidates that are relative to a mean over coordinates.
RELATIVE_OPTIONS = ("lam", "before_lam", "cca_lam", "shrink", "floor")


def candidates(
    aim: str, constraint: str, *, normalize: bool, fraction: float = 1.0, has_hub_pairs: bool = True
) -> list[Aligner]:
    """Return the candidates, Identity first and then from weak to strong.

    `fraction` is that of the coordinates that rows were reduced to, because penalties are relative to means over
    coordinates. Score corrections come with unit rows, and not with classification, which compares rows with texts. No
    map uses pairs without `has_hub_pairs`, if a further modality is not paired with the first one.
    """
    row_maps: list[Aligner] = [
        Identity(),
        Centering(),
        PartialWhitening(),
        DifferenceWhitening(),
        PartialWhitening(alpha=0.5),
        KernelBlend(weight=0.25),
        SharedSignal(),
        RidgeCCA(),
    ]
    if constraint == "rows" or aim == "classification":
        # Beside score corrections these gain little, and each costs several decompositions.
        row_maps[5:5] = [Blend(weight=0.25), KernelBlend(weight=0.5), KernelBlend(weight=0.75)]
    for candidate in row_maps:
        _set_options(candidate, normalize, fraction)
    allows_pairs = constraint != "no_pairs" and has_hub_pairs
    selected = [candidate for candidate in row_maps if allows_pairs or not candidate.uses_pairs]
    if constraint == "affine":
        selected = [candidate for candidate in selected if is_affine(candidate)]
    if constraint in ("rows", "affine") or aim == "classification" or not normalize:
        return selected
    maps_in_front: list[Aligner] = [Centering(), SharedSignal(), RidgeCCA()]
    for mapper in maps_in_front:
        _set_options(mapper, normalize, fraction)
    selected += [ScoreStandardization(), ScoreCalibration()]
    return selected + [
        ScoreCalibration(row_map=mapper) for mapper in maps_in_front if allows_pairs or not mapper.uses_pairs
    ]


def is_affine(aligner: Aligner) -> bool:
    """Return whether the maps of an aligner are affine between the two divisions by the norm."""
    return not isinstance(aligner, Blend)


def _set_options(aligner: Aligner, normalize: bool, fraction: float) -> None:
    penalties = {name: fraction * v for name, v in aligner.get_params().items() if name in RELATIVE_OPTIONS}
    aligner.set_params(normalize=normalize, **penalties)


def display_name(aligner: Aligner) -> str:
    """Return the class name with the options that are not the defaults."""
    options = []
    for field in dataclasses.fields(aligner):
        value: Any = getattr(aligner, field.name)
        if value != field.default:
            options.append(f"{field.name}={display_name(value) if isinstance(value, Aligner) else repr(value)}")
    return type(aligner).__name__ + (f"({', '.join(options)})" if options else "")

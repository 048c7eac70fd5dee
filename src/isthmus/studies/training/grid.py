"""Which runs the causal experiment consists of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from isthmus.studies.training.settings import Setting

ANGLES = (15.0, 30.0, 45.0, 60.0, 75.0, 90.0)
FEW = (30.0, 60.0, 90.0)
#: Dimensions that each side may use: those of a small subspace, and those of a hyperplane of the 64.
SMALL, HYPERPLANE = 8, 63
LONG = 240
#: Temperatures that every loss is trained with: a low, a learned, and a high one.
GRID = ("learned", "0.01", "0.2")

#: SharedSpaceAlignment in the comparison with InfoNCE: as it comes, and in the directions in which partners covary.
SHARED_SPACE_SETTINGS = (
    Setting(loss="SharedSpaceAlignment", temperature="learned"),
    Setting(loss="SharedSpaceAlignment", temperature="learned", weight=1.0, k=8, estimator="cross_covariance"),
)

Part = Callable[[bool], Iterator[Setting]]


def losses(quick: bool) -> Iterator[Setting]:
    """Every loss at three temperatures, and InfoNCE at every one; nothing imposed."""
    from isthmus.studies.training.objectives import TEMPERATURES, objectives

    if quick:
        for temperature in GRID:
            yield Setting(temperature=temperature)
        yield Setting(loss="Sigmoid", temperature="learned")
        return
    for loss in objectives():
        for temperature in dict.fromkeys((*GRID, *TEMPERATURES)) if loss == "InfoNCE" else GRID:
            yield Setting(loss=loss, temperature=temperature)


def imposed_collapse(quick: bool) -> Iterator[Setting]:
    """Imposed collapse: rank limit x angle, in the three regimes."""
    for angle in FEW if quick else ANGLES:
        yield Setting(temperature="learned", regime="affine", rank=16, angle=angle)
        yield Setting(temperature="0.01", regime="subspace", rank=HYPERPLANE, angle=angle)
    for rank in (SMALL, HYPERPLANE):
        yield Setting(temperature="learned", regime="subspace", rank=rank, angle=60.0)
        for angle in FEW:
            yield Setting(temperature="learned", regime="mean_length_penalty", rank=rank, angle=angle)
    if quick:
        return
    for angle in FEW:
        yield Setting(temperature="0.01", regime="subspace", rank=SMALL, angle=angle)
        yield Setting(temperature="learned", regime="mean_length_penalty", rank=SMALL, angle=angle, epochs=LONG)
    yield Setting(temperature="learned", regime="mean_length_penalty", rank=HYPERPLANE, angle=60.0, epochs=LONG)
    for rank in (SMALL, HYPERPLANE):
        yield Setting(temperature="0.2", regime="mean_length_penalty", rank=rank, angle=60.0, epochs=LONG)


def alternatives(quick: bool) -> Iterator[Setting]:
    """What other explanations name: mismatched pairs, captions that say less, cones of the start."""
    for temperature in ("0.01",) if quick else ("0.01", "learned"):
        yield Setting(temperature=temperature)
        for share in (0.25,) if quick else (0.1, 0.25, 0.5):
            yield Setting(temperature=temperature, shuffled_fraction=share)
        for dropped in (2,) if quick else (1, 2, 3, 4):
            yield Setting(temperature=temperature, caption_dropout=dropped)
        for cone in (120.0,) if quick else (0.0, 60.0, 120.0, 180.0):
            yield Setting(temperature=temperature, initial_cone_angle=cone)


def shared_space(quick: bool) -> Iterator[Setting]:
    """InfoNCE with and without the alignment of the shared space."""
    yield Setting(temperature="learned")
    yield from SHARED_SPACE_SETTINGS


def ablations(quick: bool) -> Iterator[Setting]:
    """The same over its weight and its number of directions."""
    for weight, k in ((1.0, 2),) if quick else ((0.3, 8), (3.0, 8), (1.0, 2), (1.0, 32)):
        yield replace(SHARED_SPACE_SETTINGS[1], weight=weight, k=k)


#: name -> (its settings, how many times the seeds that were asked for)
PARTS: dict[str, tuple[Part, int]] = {
    "collapse": (imposed_collapse, 1),
    "losses": (losses, 1),
    "alternatives": (alternatives, 1),
    "shared_space": (shared_space, 2),
    "ablations": (ablations, 1),
}

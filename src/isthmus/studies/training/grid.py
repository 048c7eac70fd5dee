"""Grid of settings of the study, in five parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from isthmus.studies.training.objectives import TEMPERATURES, loss_names
from isthmus.studies.training.settings import Setting

ANGLES = (15.0, 30.0, 45.0, 60.0, 75.0, 90.0)
COARSE_ANGLES = (30.0, 60.0, 90.0)
#: Dimensions of each modality: a small subspace, and a hyperplane of the 64.
SMALL_RANK, HYPERPLANE_RANK = 8, 63
LONG_EPOCHS = 240
#: Temperatures of every loss: a learned, a low and a high one.
LOSS_TEMPERATURES = ("learned", "0.01", "0.2")

#: Settings of SharedSpaceAlignment that are compared with InfoNCE: the defaults, and covarying directions.
SHARED_SPACE_SETTINGS = (
    Setting(loss="SharedSpaceAlignment", temperature="learned"),
    Setting(loss="SharedSpaceAlignment", temperature="learned", weight=1.0, k=8, estimator="cross_covariance"),
)

#: Function of `quick` that yields the settings of a part.
PartSettings = Callable[[bool], Iterator[Setting]]


def imposed_collapse(quick: bool) -> Iterator[Setting]:
    """Yield rank limits and angles in the three regimes."""
    for angle in COARSE_ANGLES if quick else ANGLES:
        yield Setting(temperature="learned", regime="affine", rank=16, angle=angle)
        yield Setting(temperature="0.01", regime="subspace", rank=HYPERPLANE_RANK, angle=angle)
    for rank in (SMALL_RANK, HYPERPLANE_RANK):
        yield Setting(temperature="learned", regime="subspace", rank=rank, angle=60.0)
        for angle in COARSE_ANGLES:
            yield Setting(temperature="learned", regime="mean_length_penalty", rank=rank, angle=angle)
    if quick:
        return
    long = Setting(temperature="learned", regime="mean_length_penalty", rank=SMALL_RANK, epochs=LONG_EPOCHS)
    for angle in COARSE_ANGLES:
        yield Setting(temperature="0.01", regime="subspace", rank=SMALL_RANK, angle=angle)
        yield replace(long, angle=angle)
    yield replace(long, rank=HYPERPLANE_RANK, angle=60.0)
    for rank in (SMALL_RANK, HYPERPLANE_RANK):
        yield replace(long, temperature="0.2", rank=rank, angle=60.0)


def losses(quick: bool) -> Iterator[Setting]:
    """Yield every loss at three temperatures, and InfoNCE at every temperature, without a constraint."""
    if quick:
        for temperature in LOSS_TEMPERATURES:
            yield Setting(temperature=temperature)
        yield Setting(loss="Sigmoid", temperature="learned")
        return
    for loss in loss_names():
        temperatures = dict.fromkeys((*LOSS_TEMPERATURES, *TEMPERATURES)) if loss == "InfoNCE" else LOSS_TEMPERATURES
        for temperature in temperatures:
            yield Setting(loss=loss, temperature=temperature)


def alternatives(quick: bool) -> Iterator[Setting]:
    """Yield alternative causes of the gap: mismatched pairs, captions with less information, initial cones."""
    for temperature in ("0.01",) if quick else ("0.01", "learned"):
        yield Setting(temperature=temperature)
        for fraction in (0.25,) if quick else (0.1, 0.25, 0.5):
            yield Setting(temperature=temperature, shuffled_fraction=fraction)
        for n_attributes in (2,) if quick else (1, 2, 3, 4):
            yield Setting(temperature=temperature, caption_dropout=n_attributes)
        for angle in (120.0,) if quick else (0.0, 60.0, 120.0, 180.0):
            yield Setting(temperature=temperature, initial_cone_angle=angle)


def shared_space(quick: bool) -> Iterator[Setting]:
    """Yield InfoNCE with and without the alignment of the shared space."""
    yield Setting(temperature="learned")
    yield from SHARED_SPACE_SETTINGS


def ablations(quick: bool) -> Iterator[Setting]:
    """Yield SharedSpaceAlignment with other weights and numbers of directions."""
    for weight, k in ((1.0, 2),) if quick else ((0.3, 8), (3.0, 8), (1.0, 2), (1.0, 32)):
        yield replace(SHARED_SPACE_SETTINGS[1], weight=weight, k=k)


#: Part -> (its settings, factor of the number of seeds).
PARTS: dict[str, tuple[PartSettings, int]] = {
    "collapse": (imposed_collapse, 1),
    "losses": (losses, 1),
    "alternatives": (alternatives, 1),
    "shared_space": (shared_space, 2),
    "ablations": (ablations, 1),
}

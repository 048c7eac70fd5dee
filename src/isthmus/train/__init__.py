"""Losses, temperatures and a monitor for training dual encoders as torch modules, one idea per file.

Every loss has the signature of open_clip's losses: `loss(image_features, text_features, logit_scale, logit_bias=None,
output_dict=False)`. Losses add up: `InfoNCE() + 0.1 * VarianceCovariance()`. Public names are loaded on first use, so
that `import isthmus.train` imports no torch.

>>> import torch
>>> from isthmus import train
>>> loss = train.InfoNCE() + 0.5 * train.TruePairAlignment()
>>> sorted(loss(torch.eye(4), torch.eye(4), logit_scale=10.0, output_dict=True))
['contrastive_loss', 'true_pair_alignment_loss']
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from isthmus.train._registry import LOSSES, LossSpec, loss
from isthmus.utils.errors import MissingDependencyError, unknown_attribute
from isthmus.utils.registry import Registry

if TYPE_CHECKING:
    from isthmus.train._base import Loss

#: Public name -> module of this package that defines it. These modules import torch.
_MODULES = {
    "AtTemperature": "at_temperature",
    "CUA": "cua",
    "CUAXU": "cuaxu",
    "CauchySchwarz": "cauchy_schwarz",
    "CentroidUniformity": "centroid_uniformity",
    "CollapseDetector": "collapse_detector",
    "CrossUniformity": "cross_uniformity",
    "CyclicConsistency": "cyclic_consistency",
    "FixedTemperature": "temperature",
    "GapHistory": "history",
    "GapMonitor": "monitor",
    "GapSnapshot": "snapshot",
    "GeodesicMixing": "geodesic_mixing",
    "InfoNCE": "info_nce",
    "IntraModalitySeparation": "intra_modality_separation",
    "LearnedTemperature": "temperature",
    "Loss": "_base",
    "RunningMoments": "running_moments",
    "ScheduledTemperature": "temperature",
    "SentencePairs": "sentence_pairs",
    "SharedSpaceAlignment": "shared_space_alignment",
    "Sigmoid": "sigmoid",
    "SoftplusTemperature": "temperature",
    "Sum": "_base",
    "TruePairAlignment": "true_pair_alignment",
    "Uniformity": "uniformity",
    "VarianceCovariance": "variance_covariance",
    "batch_sums": "batch_moments",
    "make_logger": "logs",
    "moments_from_sums": "batch_moments",
    "parameter_groups": "temperature",
}

__all__ = [
    "CUA",
    "CUAXU",
    "AtTemperature",
    "CauchySchwarz",
    "CentroidUniformity",
    "CollapseDetector",
    "CrossUniformity",
    "CyclicConsistency",
    "FixedTemperature",
    "GapHistory",
    "GapMonitor",
    "GapSnapshot",
    "GeodesicMixing",
    "InfoNCE",
    "IntraModalitySeparation",
    "LearnedTemperature",
    "Loss",
    "LossSpec",
    "RunningMoments",
    "ScheduledTemperature",
    "SentencePairs",
    "SharedSpaceAlignment",
    "Sigmoid",
    "SoftplusTemperature",
    "Sum",
    "TruePairAlignment",
    "Uniformity",
    "VarianceCovariance",
    "batch_sums",
    "get",
    "loss",
    "make_logger",
    "moments_from_sums",
    "parameter_groups",
    "registry",
]


def registry() -> Registry[LossSpec]:
    """Return the registry of losses, a mapping of class names to their specifications.

    Returns
    -------
    Registry[LossSpec]
        Sources, weights and classes of all losses, those of other packages included.

    Raises
    ------
    InputError
        If torch is not installed.

    Examples
    --------
    >>> registry()["Sigmoid"].standalone, registry()["TruePairAlignment"].standalone
    (True, False)
    """
    _load("Loss")
    return LOSSES


def get(name: str, /) -> type[Loss]:
    """Return the loss class called `name`. Case, '-' and '_' are ignored.

    Parameters
    ----------
    name : str
        Class name of a registered loss.

    Returns
    -------
    type[Loss]
        The class.

    Raises
    ------
    InputError
        If no loss has this name, or torch is not installed.

    Examples
    --------
    >>> get("info-nce").__name__
    'InfoNCE'
    """
    return registry().find(name).cls


def _load(name: str) -> Any:
    """Import the module of a public name and return the object."""
    try:
        module = importlib.import_module(f"isthmus.train.{_MODULES[name]}")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingDependencyError(
            f"isthmus.train.{name} needs torch, which is not installed: pip install 'isthmus[torch]'"
        ) from None
    return getattr(module, name)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise unknown_attribute("isthmus.train", name, __all__)
    value = globals()[name] = _load(name)
    return value


def __dir__() -> list[str]:
    return __all__

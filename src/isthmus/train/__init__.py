"""Training dual encoders: losses and temperatures as torch modules, one idea per file.

Every loss is called as open_clip calls its own: `loss(image_features, text_features, logit_scale, logit_bias=None,
output_dict=False)`, and terms add up: `InfoNCE() + 0.1 * VarianceCovariance()`. Every public name is loaded on first
use, so that `import isthmus.train` alone imports no torch.

>>> import torch
>>> from isthmus import train
>>> loss = train.InfoNCE() + 0.5 * train.TruePairAlignment()
>>> sorted(loss(torch.eye(4), torch.eye(4), logit_scale=10.0, output_dict=True))
['contrastive_loss', 'true_pair_alignment_loss']
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from isthmus.utils.errors import InputError

if TYPE_CHECKING:
    from isthmus.train._base import Declared, Loss

#: losses and terms of losses: public name -> module of this package that defines it
_LOSSES: dict[str, str] = {
    "CUA": "cua",
    "CUAXU": "cuaxu",
    "CauchySchwarz": "cauchy_schwarz",
    "CentroidUniformity": "centroid_uniformity",
    "CrossUniformity": "cross_uniformity",
    "CyclicConsistency": "cyclic_consistency",
    "GeodesicMixing": "geodesic_mixing",
    "InfoNCE": "info_nce",
    "IntraModalitySeparation": "intra_modality_separation",
    "SharedSpaceAlignment": "shared_space_alignment",
    "Sigmoid": "sigmoid",
    "TruePairAlignment": "true_pair_alignment",
    "Uniformity": "uniformity",
    "VarianceCovariance": "variance_covariance",
}
#: everything else that is public
_OTHERS: dict[str, str] = {
    "AtTemperature": "at_temperature",
    "CollapseWatch": "collapse_detector",
    "FixedTemperature": "temperature",
    "GapMonitor": "monitor",
    "LearnedTemperature": "temperature",
    "Loss": "_base",
    "Reading": "snapshot",
    "RunningMoments": "running_moments",
    "ScheduledTemperature": "temperature",
    "SentencePairs": "sentence_pairs",
    "SoftplusTemperature": "temperature",
    "Sum": "_base",
    "batch_sums": "batch_moments",
    "loss": "_base",
    "parameter_groups": "temperature",
}

__all__ = sorted([*_LOSSES, *_OTHERS, "get", "registry"])


def registry() -> dict[str, Declared]:
    """All losses by class name, with their sources and how each becomes something to train with.

    >>> registry()["Sigmoid"].whole, registry()["TruePairAlignment"].whole
    (True, False)
    """
    for name in _LOSSES:
        _load(name)
    return dict(_load("Loss").declared)


def get(name: str) -> type[Loss]:
    """The loss class of this name, upper and lower case and - _ not told apart.

    Errors: `InputError` for a name that is not in the registry.

    >>> get("info-nce").__name__
    'InfoNCE'
    """
    from isthmus.utils.errors import unknown

    def plain(text: str) -> str:
        return text.lower().replace("-", "").replace("_", "")

    known = {plain(declared): entry.cls for declared, entry in registry().items()}
    if plain(name) not in known:
        raise unknown("loss", name, registry())
    return known[plain(name)]


def _load(name: str) -> Any:
    try:
        module = importlib.import_module(f"isthmus.train.{(_LOSSES | _OTHERS)[name]}")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise InputError(
            f"isthmus.train.{name} needs torch, which is not installed: pip install 'isthmus[torch]'"
        ) from None
    return getattr(module, name)


def __getattr__(name: str) -> Any:
    if name not in _LOSSES and name not in _OTHERS:
        raise AttributeError(f"module 'isthmus.train' has no attribute {name!r}")
    value = globals()[name] = _load(name)
    return value


def __dir__() -> list[str]:
    return __all__

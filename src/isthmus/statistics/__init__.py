"""Moments, estimates, intervals and correlations."""

from typing import TYPE_CHECKING

from isthmus.statistics.concentration import gini
from isthmus.statistics.correlation import isotonic_r2, spearman
from isthmus.statistics.degeneracy import Degeneracy, find_degeneracies
from isthmus.statistics.influence import InfluenceSample
from isthmus.statistics.intervals import (
    clip_interval,
    length_interval,
    normal_interval,
    satterthwaite_p_value,
    wilson_interval,
)
from isthmus.statistics.item_moments import ItemMoments
from isthmus.statistics.jackknife import jackknife_interval, mean_interval, pair_mean
from isthmus.statistics.mean_intervals import (
    debiased_gap_squared,
    debiased_mean_products,
    gap_interval,
    mean_covariance,
    mean_length_interval,
    mean_p_value,
    mean_product_noise,
)
from isthmus.statistics.mean_variance import linear_variance
from isthmus.statistics.moments import Moments, moments_of
from isthmus.statistics.noise_intervals import noise_interval
from isthmus.statistics.result import Estimate, Result
from isthmus.statistics.spectral_errors import SpectralErrors
from isthmus.utils.lazy import hinting_getter

__all__ = [
    "Degeneracy",
    "Estimate",
    "InfluenceSample",
    "ItemMoments",
    "Moments",
    "Result",
    "SpectralErrors",
    "clip_interval",
    "debiased_gap_squared",
    "debiased_mean_products",
    "find_degeneracies",
    "gap_interval",
    "gini",
    "isotonic_r2",
    "jackknife_interval",
    "length_interval",
    "linear_variance",
    "mean_covariance",
    "mean_interval",
    "mean_length_interval",
    "mean_p_value",
    "mean_product_noise",
    "moments_of",
    "noise_interval",
    "normal_interval",
    "pair_mean",
    "satterthwaite_p_value",
    "spearman",
    "wilson_interval",
]

if not TYPE_CHECKING:  # a type checker would then find every name
    __getattr__ = hinting_getter(__name__, __all__)

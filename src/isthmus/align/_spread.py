"""Refusal of modalities whose rows are all the same, and of means that are equal or 0, where a solution needs them."""

from __future__ import annotations

import numpy as np

from isthmus.align._fitting import Fitting
from isthmus.statistics.degeneracy import constant_message, constant_names
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError

#: Length of a mean, or of a difference of means, that is rounding, as a share of the length of the rows.
ROUNDING = 1e-12


def require_direction(vector: np.ndarray, moments: Moments, message: str, /) -> None:
    """Raise `InputError` if a mean row, or the difference of two, is 0 but for rounding.

    Parameters
    ----------
    vector : numpy.ndarray
        The mean or the difference (d,).
    moments : Moments
        Moments that it comes from.
    message : str
        Message of the error.

    Raises
    ------
    InputError
        If the vector is 0.
    """
    squared_length = (float(np.trace(moments.xx)) + float(np.trace(moments.yy))) / moments.n / 2
    if float(vector @ vector) <= ROUNDING**2 * squared_length:
        raise InputError(message)


def require_spread(aligner: Fitting, moments: Moments, reason: str, /) -> None:
    """Raise `InputError` if all rows of a modality are the same.

    Parameters
    ----------
    aligner : Aligner
        The aligner that is fitted. Its names of the modalities are those of the message.
    moments : Moments
        Moments that it is fitted to.
    reason : str
        A clause that says what the aligner needs.

    Raises
    ------
    InputError
        If a modality is constant. The message names it.
    """
    names = (aligner._fit and aligner._fit.names) or ("x", "y")
    constant = constant_names(moments, names)
    if constant:
        raise InputError(
            f"{constant_message(constant, moments)}: {reason}; check the encoder, because no correction can tell "
            "equal rows apart"
        )

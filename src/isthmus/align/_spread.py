"""Refusal of modalities whose rows are all the same, where a solution needs their spread."""

from __future__ import annotations

from isthmus.align._fitting import Fitting
from isthmus.statistics.degeneracy import constant_message, constant_names
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError


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

"""Options of `open_source`, given once for all modalities or once for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.utils.errors import InputError, unknown_name

#: Options of `open_source` that `open_pairs` passes on.
READING_OPTIONS = ("pool", "raw", "scale", "offset", "ranges", "bits")


def reading_of_each(count: int, reading: Mapping[str, Any], /) -> list[dict[str, Any]]:
    """Return the options of `open_source` for each modality.

    Parameters
    ----------
    count : int
        Number of modalities.
    reading : mapping
        Options by name. A tuple has one value for each modality.

    Returns
    -------
    list of dict
        One mapping for each modality.

    Raises
    ------
    InputError
        If an option is unknown, or a tuple has another length.

    Examples
    --------
    >>> reading_of_each(2, {"pool": "mean", "scale": (None, 0.1)})
    [{'pool': 'mean', 'scale': None}, {'pool': 'mean', 'scale': 0.1}]
    """
    for name, value in reading.items():
        if name not in READING_OPTIONS:
            raise unknown_name("option", name, READING_OPTIONS)
        if isinstance(value, tuple) and len(value) != count:
            raise InputError(f"{name} has {len(value)} values, expected one, or {count}: one for each modality")
    return [
        {name: value[number] if isinstance(value, tuple) else value for name, value in reading.items()}
        for number in range(count)
    ]

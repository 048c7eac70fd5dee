"""Options of `open_source`, given once for all modalities or once for each."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from isthmus.data.sources import Source
from isthmus.data.sources._codes import NoCodesError
from isthmus.utils.errors import InputError, IsthmusWarning, unknown_name
from isthmus.utils.format import counted

#: Options of `open_source` that `open_pairs` passes on.
READING_OPTIONS = ("pool", "raw", "scale", "offset", "ranges", "bits", "rounding")
_CODINGS = ("scale", "offset", "ranges")


def open_each(
    count: int, reading: Mapping[str, Any], open_: Callable[[int, dict[str, Any]], Source], /
) -> list[Source]:
    """Open the rows of each modality with its options.

    Parameters
    ----------
    count : int
        Number of modalities.
    reading : mapping
        Options, as for `reading_of_each`. If `bits` is True for all, floats beside packed signs are read as they are.
    open_ : callable
        Function from the number of a modality and its options to its source.

    Returns
    -------
    list of Source
        One source for each modality.

    Raises
    ------
    InputError
        If no modality can be opened with `bits`, or another option does not fit.
    """
    readings = reading_of_each(count, reading)
    sources, floats = [], []
    for number, options in enumerate(readings):
        try:
            sources.append(open_(number, options))
        except NoCodesError as error:
            floats.append(error)
            if reading.get("bits") is not True or len(floats) == count:
                raise floats[0] from None
            sources.append(open_(number, {**options, "bits": False}))
    warn_of_unused_raw(sources, readings)
    return sources


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
            raise InputError(
                f"{name} has {counted(len(value), 'value')}, expected one, or {count}: one for each modality"
            )
    readings = [
        {name: value[number] if isinstance(value, tuple) else value for name, value in reading.items()}
        for number in range(count)
    ]
    if reading.get("bits") is True:  # those of the files that have no coding of their own
        for options in readings:
            coded = [name for name in _CODINGS if isinstance(reading.get(name), tuple) and options[name] is not None]
            options["bits"] = not coded
    if isinstance(reading.get("ranges"), tuple) and not isinstance(reading.get("rounding"), tuple):
        for options in readings:
            if options["ranges"] is None:  # a file of floats beside one of codes
                options.pop("rounding", None)
    return readings


def warn_of_unused_raw(sources: Sequence[Any], readings: Sequence[Mapping[str, Any]], /) -> None:
    """Warn if `raw` is given and every file has a format of its own, so that nothing is read with it.

    Parameters
    ----------
    sources : sequence of Source
        The opened modalities.
    readings : sequence of dict
        Their options, as from `reading_of_each`.

    Examples
    --------
    >>> warn_of_unused_raw([], [])
    """
    given = next((reading["raw"] for reading in readings if reading.get("raw") is not None), None)
    if given is None or any(str(source.format or "").startswith("raw ") for source in sources):
        return
    state = "is no file" if sources[0].location is None else "has a format that its name tells"
    warnings.warn(
        f"raw={given} (--raw) is not used: it is for files without a header, and {sources[0].address[-100:]} {state}",
        IsthmusWarning,
        stacklevel=3,
    )

"""Load everything that the package saves: results, aligners and moments."""

from __future__ import annotations

import os
from typing import Any

from isthmus.align.registration import load as load_arrays_file
from isthmus.reporting.plot import FIGURES
from isthmus.utils.errors import InputError
from isthmus.utils.paths import check_readable
from isthmus.utils.tabular import read_result

_EXPECTED = "a result, an aligner or moments that isthmus saved"


def load(path: str | os.PathLike[str], /) -> Any:
    """Read a result, an aligner or moments from a file.

    Parameters
    ----------
    path : str or path-like
        File that a method `save` or `isthmus ... -o FILE` wrote: JSON for results, else safetensors.

    Returns
    -------
    Tabular, Aligner or Moments
        What the file holds. A loaded result equals the saved one. A loaded explanation has no pairs. A loaded aligner
        has its maps and statistics, but no moments: `partial_fit` starts anew.

    Raises
    ------
    InputError
        If the file is missing, truncated, of a newer version or holds something else.

    Examples
    --------
    >>> import isthmus, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "result.json"
    >>> result = isthmus.measure(isthmus.demo.load("plain", split="test"), metrics="fast")
    >>> result.save(path)
    >>> isthmus.load(path) == result
    True
    """
    path = check_readable(path, _EXPECTED)
    if path.is_dir():
        raise InputError(f"{path}: is a folder, expected {_EXPECTED}")
    with path.open("rb") as file:
        is_json = file.read(64).lstrip()[:1] == b"{"
    if not is_json:
        return load_arrays_file(path)
    return read_result(path, {known.kind: known for known in FIGURES}, _EXPECTED)

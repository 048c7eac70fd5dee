"""Load everything that the package saves: results, aligners and moments."""

from __future__ import annotations

import json
import os
from typing import Any

from isthmus.align.registration import load as load_arrays_file
from isthmus.reporting.plot import FIGURES
from isthmus.utils.errors import InputError
from isthmus.utils.files import FORMAT_VERSION
from isthmus.utils.validation import check_readable

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
    with path.open("rb") as file:
        is_json = file.read(64).lstrip()[:1] == b"{"
    if not is_json:
        return load_arrays_file(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError):
        raise InputError(f"{path}: not valid JSON; expected {_EXPECTED}") from None
    classes = {known.kind: known for known in FIGURES}
    if not isinstance(content, dict) or content.get("kind") not in classes:
        raise InputError(f"{path}: holds no result of isthmus; expected {_EXPECTED}")
    if content["format"] > FORMAT_VERSION:
        raise InputError(
            f"{path}: has format {content['format']}, this version reads up to {FORMAT_VERSION}; update isthmus"
        )
    try:
        return classes[content["kind"]].from_dict(content)
    except (KeyError, TypeError, ValueError) as error:
        what = f"a part of this {content['kind']} is missing or wrong ({error})"
        raise InputError(f"{path}: {what}; save it again") from None

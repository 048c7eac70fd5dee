"""Look-up of aligner classes by name, and loading of saved aligners."""

from __future__ import annotations

import os
from typing import Any, cast

from isthmus.align._base import Aligner
from isthmus.align._registry import REGISTRY
from isthmus.align._state import FittedState
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError
from isthmus.utils.files import load_arrays


def load(path: str | os.PathLike[str]) -> Any:
    """Read an aligner or moments from a file.

    Parameters
    ----------
    path : str or path-like
        File written by `Aligner.save` or `Moments.save`.

    Returns
    -------
    Aligner or Moments
        A loaded aligner has its maps and statistics, but no moments: `partial_fit` starts anew.

    Raises
    ------
    InputError
        If the file is missing, truncated or holds something else, or the class of the aligner is unknown.

    Examples
    --------
    >>> import isthmus, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "aligner.safetensors"
    >>> isthmus.align.Centering().fit(isthmus.demo.load("plain")).save(path)
    >>> isthmus.load(path).names_
    ('image', 'text')
    """
    content, tables, header = load_arrays(path)
    if content == "moments":
        return Moments.load(path)
    if content != "aligner":
        raise InputError(f"{path}: holds {content}, expected an aligner or moments")
    aligner = aligner_of_json(header)
    aligner.fitted_state = FittedState.from_arrays(tables, header)
    return aligner


def aligner_of_json(content: dict[str, Any]) -> Aligner:
    """Return the aligner, not fitted, whose name and options a file holds."""
    options: dict[str, Any] = {
        name: aligner_of_json(value) if isinstance(value, dict) and "class" in value else value
        for name, value in content["options"].items()
    }
    try:
        aligner: type[Any] = get(content["class"])
    except InputError as error:
        hint = "import or install the package that defines it"
        raise InputError(f"the file holds an aligner {content['class']!r}, which is unknown; {hint}") from error
    return cast("Aligner", aligner(**options))


def registry() -> dict[str, type[Aligner]]:
    """Return all aligner classes by name.

    Returns
    -------
    dict of str to type
        Classes of this package, of the program and of installed plug-ins.

    Examples
    --------
    >>> import isthmus
    >>> "Centering" in isthmus.align.registry()
    True
    """
    return dict(REGISTRY)


def get(name: str) -> type[Aligner]:
    """Return the aligner class of this name.

    Parameters
    ----------
    name : str
        Name of the class. Case, '-' and '_' are ignored.

    Returns
    -------
    type
        Subclass of `Aligner`.

    Raises
    ------
    InputError
        If there is no such aligner.

    Examples
    --------
    >>> get("partial-whitening").__name__
    'PartialWhitening'
    """
    return REGISTRY.find(name)


def register(aligner: type[Aligner]) -> type[Aligner]:
    """Register an aligner class under its name. Public subclasses of `Aligner` do this themselves.

    Parameters
    ----------
    aligner : type
        Subclass of `Aligner`.

    Returns
    -------
    type
        The same class.

    Raises
    ------
    InputError
        If another class has this name.

    Examples
    --------
    >>> register(unregister("Centering")).__name__
    'Centering'
    """
    return REGISTRY.register(aligner.__name__, aligner)


def unregister(name: str) -> type[Aligner]:
    """Remove an aligner class from the registry.

    Parameters
    ----------
    name : str
        Exact name of the class.

    Returns
    -------
    type
        The class that was removed.

    Raises
    ------
    InputError
        If there is no such aligner.

    Examples
    --------
    >>> register(unregister("Centering")).__name__
    'Centering'
    """
    return REGISTRY.unregister(name)

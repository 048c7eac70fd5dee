"""Public names of a package that are imported on first use, and hints for names that it lacks."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from isthmus.utils.errors import unknown_attribute


def lazy_names(package: str, modules: Mapping[str, str], /) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package whose public names are imported on first use.

    Parameters
    ----------
    package : str
        Dotted name of the package.
    modules : mapping of str to str
        Module below `package` that defines each public name. A name that equals its module stands for that module.

    Returns
    -------
    getter : callable
        The `__getattr__` of the package.
    names : callable
        The `__dir__` of the package.

    Examples
    --------
    >>> from isthmus import linalg
    >>> "fidelity" in dir(linalg), linalg.fidelity.__module__
    (True, 'isthmus.linalg.psd')
    """

    def getter(name: str) -> Any:
        if name not in modules:
            raise unknown_attribute(package, name, modules)
        module = importlib.import_module(f"{package}.{modules[name]}")
        value = module if modules[name] == name else getattr(module, name)
        setattr(sys.modules[package], name, value)
        return value

    return getter, lambda: sorted(modules)


def hinting_getter(package: str, names: Iterable[str], /) -> Callable[[str], Any]:
    """Return `__getattr__` of a package that proposes a similar public name for a missing one.

    Parameters
    ----------
    package : str
        Dotted name of the package.
    names : iterable of str
        Its public names.

    Returns
    -------
    getter : callable
        The `__getattr__` of the package, which always raises.

    Examples
    --------
    >>> import isthmus
    >>> isthmus.tasks.retrieval_
    Traceback (most recent call last):
    AttributeError: module 'isthmus.tasks' has no attribute 'retrieval_': did you mean 'Retrieval'?
    """

    def getter(name: str) -> Any:
        raise unknown_attribute(package, name, names)

    return getter

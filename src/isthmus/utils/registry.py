"""Registries of named things: metrics, aligners, formats, tasks, stores, losses and experiments."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from isthmus.utils.errors import InputError, IsthmusWarning, unknown_name

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """A mapping of names to objects that discovers its members on first use.

    The first look-up imports every public module of `package`, so that a new file in that folder is found without a
    second edit. It then loads the entry points of `group`, which other installed packages declare.

    Parameters
    ----------
    noun : str
        Singular noun of the members, used in messages, such as 'metric'.
    package : str or None
        Dotted name of the package whose modules register members. Modules that start with '_' are skipped.
    group : str or None
        Entry-point group of other packages, such as 'isthmus.metrics'.

    Raises
    ------
    InputError
        If a name is looked up that is not registered, or registered a second time.

    Examples
    --------
    >>> colours = Registry("colour")
    >>> colours.register("red", "#f00")
    '#f00'
    >>> colours["red"], len(colours)
    ('#f00', 1)
    >>> colours.register("red", "#e00")
    Traceback (most recent call last):
    ...
    isthmus.utils.errors.InputError: colour 'red' is registered twice; choose another name or unregister it first
    """

    def __init__(self, noun: str, *, package: str | None = None, group: str | None = None):
        self.noun = noun
        self.package = package
        self.group = group
        self._members: dict[str, T] = {}
        self._discovered = False

    def register(self, name: str, member: T) -> T:
        """Add a member under a name.

        A class or function that is defined again under the same module and qualified name replaces itself. So a
        notebook cell can be run twice. Every other second registration is refused.

        Parameters
        ----------
        name : str
            Name of the member.
        member : object
            The member.

        Returns
        -------
        object
            The member.

        Raises
        ------
        InputError
            If another member has the name.
        """
        registered = self._members.get(name)
        if registered is not None and registered is not member and _origin(registered) != _origin(member):
            raise InputError(f"{self.noun} {name!r} is registered twice; choose another name or unregister it first")
        self._members[name] = member
        return member

    def unregister(self, name: str) -> T:
        """Remove a member.

        Parameters
        ----------
        name : str
            Name of the member.

        Returns
        -------
        object
            The member.
        """
        self.discover()
        if name not in self._members:
            raise unknown_name(self.noun, name, self._members)
        return self._members.pop(name)

    def discover(self) -> None:
        """Import the modules of the package and the entry points of the group, once."""
        if self._discovered:
            return
        self._discovered = True
        if self.package is not None:
            for module in pkgutil.iter_modules(importlib.import_module(self.package).__path__):
                if not module.name.startswith("_"):
                    importlib.import_module(f"{self.package}.{module.name}")
        for entry in _entry_points().select(group=self.group) if self.group else ():
            self._load(entry)

    def _load(self, entry: EntryPoint) -> None:
        """Import the module of an entry point. Warn if that fails or registers nothing."""
        package = "another package" if entry.dist is None else f"the package {entry.dist.name}"
        subject = f"the {self.noun} {entry.name!r} of {package}"
        n_members, was_imported = len(self._members), entry.module in sys.modules
        try:
            entry.load()
        except Exception as error:  # a broken plug-in must not break the package
            reason = f"{type(error).__name__}: {error}"
            warnings.warn(f"{subject} cannot be loaded from {entry.value}: {reason}", IsthmusWarning, stacklevel=3)
            return
        if not was_imported and len(self._members) == n_members:
            warnings.warn(f"{subject}: the module {entry.module} registers none", IsthmusWarning, stacklevel=3)

    def registered(self) -> dict[str, T]:
        """Return the members that are registered so far, without a discovery.

        Returns
        -------
        dict
            Members by name.
        """
        return dict(self._members)

    def find(self, name: str) -> T:
        """Return the member with a name, ignoring case, '-' and '_'.

        Parameters
        ----------
        name : str
            Name of the member.

        Returns
        -------
        object
            The member.
        """
        self.discover()
        members = {_plain(member_name): member for member_name, member in self._members.items()}
        if _plain(name) not in members:
            raise unknown_name(self.noun, name, self._members)
        return members[_plain(name)]

    def __getitem__(self, name: str) -> T:
        self.discover()
        if name not in self._members:
            raise unknown_name(self.noun, name, self._members)
        return self._members[name]

    def __contains__(self, name: object) -> bool:
        self.discover()
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        self.discover()
        return iter(dict(self._members))

    def __len__(self) -> int:
        self.discover()
        return len(self._members)


@cache
def _entry_points() -> Any:
    """Return the entry points of all installed packages, read once: each package has a file of them."""
    return entry_points()


def _plain(name: str) -> str:
    """Return a name without case, '-' and '_'."""
    return name.lower().replace("-", "").replace("_", "")


def _origin(member: Any) -> object:
    """Return the module and qualified name of a class or function, else the object's identity."""
    target = member
    if not inspect.isclass(member):  # a specification stands for the class or the function that it holds
        target = next((getattr(member, name) for name in ("cls", "run", "compute") if hasattr(member, name)), member)
    name = getattr(target, "__qualname__", None)
    return id(member) if name is None else (getattr(target, "__module__", None), name)

"""Registry of the losses, which imports no torch."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from isthmus.utils.registry import Registry

if TYPE_CHECKING:
    from isthmus.train._base import Loss

LossClass = TypeVar("LossClass", bound="type[Loss]")


@dataclass(frozen=True)
class LossSpec:
    """Describe a registered loss: its class, its source, and how to train with it.

    Parameters
    ----------
    name : str
        Name of the class.
    cls : type[Loss]
        The class.
    source : str
        Author, year and arXiv number of the paper that proposes the loss.
    standalone : bool
        True if the loss trains an encoder alone, False if it is a term to add to another loss.
    weight : float
        Weight of a term beside InfoNCE in its source, 1 if the source names none.
    definition : str
        First paragraph of the docstring.

    Examples
    --------
    >>> from isthmus import train
    >>> train.registry()["CyclicConsistency"].build()
    Sum(
      weights=[1.0, 0.25]
      (losses): ModuleList(
        (0): InfoNCE()
        (1): CyclicConsistency()
      )
    )
    """

    name: str
    cls: type[Loss]
    source: str
    standalone: bool
    weight: float
    definition: str

    def build(self, **options: object) -> Loss:
        """Return a loss to train with: the loss itself if standalone, else InfoNCE + weight * the term.

        Parameters
        ----------
        **options : object
            Keyword arguments of the class.

        Returns
        -------
        Loss
            Module to call with the features of a batch.
        """
        term = self.cls(**options)
        return term if self.standalone else LOSSES["InfoNCE"].cls() + term * self.weight


#: Specifications of all losses by class name.
LOSSES: Registry[LossSpec] = Registry("loss", package="isthmus.train")


def loss(*, source: str, standalone: bool = False, weight: float = 1.0) -> Callable[[LossClass], LossClass]:
    """Register a loss class under its name.

    Parameters
    ----------
    source : str
        Author, year and arXiv number of the paper.
    standalone : bool, default False
        True if the loss trains an encoder alone.
    weight : float, default 1.0
        Weight that the source gives to the term beside InfoNCE.

    Returns
    -------
    callable
        Class decorator that registers the class and returns it.

    Raises
    ------
    InputError
        If another loss is registered under the same name.

    Examples
    --------
    >>> from isthmus.train import Loss, loss, registry
    >>> @loss(source="an example", weight=0.1)
    ... class CentroidDistance(Loss):
    ...     '''The squared distance of the means.'''
    ...     key = "centroid_distance_loss"
    ...     def value(self, batch):
    ...         return batch.mean(batch.x.mean(0) - batch.y.mean(0)).square().sum()
    >>> registry()["CentroidDistance"].weight
    0.1
    >>> _ = registry().unregister("CentroidDistance")
    """

    def register(cls: LossClass) -> LossClass:
        LOSSES.register(cls.__name__, LossSpec(cls.__name__, cls, source, standalone, weight, _definition(cls.__doc__)))
        return cls

    return register


def read_losses() -> dict[str, dict[str, Any]]:
    """Read the losses of this package from its source, which takes a hundredth of the time of importing torch.

    Returns
    -------
    dict
        For each class name the values of `source`, `standalone`, `weight` and `definition` of its `LossSpec`.
    """
    import ast

    losses = {}
    folder = Path(__file__).parent
    for module in pkgutil.iter_modules([str(folder)]):
        text = "" if module.name.startswith("_") else (folder / f"{module.name}.py").read_text(encoding="utf-8")
        classes = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)] if "@loss(" in text else []
        for node in classes:
            for call in node.decorator_list:
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == loss.__name__:
                    options = {str(option.arg): ast.literal_eval(option.value) for option in call.keywords}
                    definition = _definition(ast.get_docstring(node))
                    losses[node.name] = {**(loss.__kwdefaults__ or {}), **options, "definition": definition}
    return losses


def _definition(docstring: str | None) -> str:
    """Return the first paragraph of a docstring as one line."""
    return " ".join((docstring or "").split("\n\n")[0].split())

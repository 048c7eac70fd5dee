"""Registry of the losses, which imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

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
        definition = " ".join((cls.__doc__ or "").split("\n\n")[0].split())
        LOSSES.register(cls.__name__, LossSpec(cls.__name__, cls, source, standalone, weight, definition))
        return cls

    return register

"""How pairs were opened, so that another process can open the same ones."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, eq=False)
class OpenSpec:
    """The arguments that pairs were opened with, so that another process can open the same ones without labels.

    Parameters
    ----------
    open_ : callable
        Function that opens them, such as `open_pairs`.
    arguments : tuple
        Its positional arguments, with absolute paths.
    options : dict
        Its keyword arguments.
    sample : tuple of int or None
        Arguments `n_items` and `rng` of `Pairs.sample`, if they are a sample.
    key : str
        Unique name of these pairs, by which a worker caches them.

    Examples
    --------
    >>> import numpy as np
    >>> from isthmus import Pairs
    >>> OpenSpec(lambda: Pairs(image=np.eye(3), text=np.eye(3)), (), {}).open().n_pairs
    3
    """

    open_: Callable[..., Any]
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    sample: tuple[int, int] | None = None
    key: str = field(default_factory=lambda: uuid.uuid4().hex)

    def open(self) -> Any:
        """Open the pairs again.

        Returns
        -------
        Pairs
            The same pairs, read from the same files.
        """
        pairs = self.open_(*self.arguments, **self.options)
        return pairs if self.sample is None else pairs.sample(self.sample[0], rng=self.sample[1])

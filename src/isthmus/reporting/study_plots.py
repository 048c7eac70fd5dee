"""Plot function of the theory experiments and of the training study, which define their panels themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from isthmus.reporting.drawing import draw_on
from isthmus.utils.errors import InputError, unknown_name


class HasPanels(Protocol):
    """Result of a study whose figures consist of panels."""

    def panels(self) -> Mapping[str, Callable[[Any], None]]:
        """Return functions that draw on an axis, by name."""


def study(data: HasPanels, /, *, panel: str | None = None, ax: Any = None) -> Any:
    """Draw one panel of the page of a theory experiment or of the training study.

    Parameters
    ----------
    data : ExperimentResult or StudyResult
        From `isthmus.studies.theorems.run`, or from `isthmus.studies.training`.
    panel : str, optional
        Name of the panel. `data.panels()` lists them. Default: the first.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on. Default: new axes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    InputError
        If `data` has no panels, or none of this name.

    Examples
    --------
    >>> import isthmus
    >>> from isthmus.studies.theorems import run
    >>> result = run("certificate", quick=True)
    >>> list(result.panels()), isthmus.plot.study(result).has_data()
    (['left', 'right'], True)
    """
    panels = data.panels() if hasattr(data, "panels") else {}
    if not panels:
        raise InputError(f"study got {type(data).__name__} without panels, expected an experiment or a training study")
    name = panel or next(iter(panels))
    if name not in panels:
        raise unknown_name("panel", name, panels)
    return draw_on(panels[name], ax)

"""Jinja templates of pages: one environment with one set of options and one palette."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from isthmus.reporting.drawing import DARK, FAMILY, INK, VARIABLES
from isthmus.reporting.svg import UNSAFE
from isthmus.utils.version import __version__

#: Package of the templates of the report.
PACKAGE = "isthmus.reporting"


@cache
def template_environment(package: str, /) -> Environment:
    """Return the Jinja environment of the templates that lie in `package`, which compiles each template once.

    Text is escaped and an undefined variable is an error. The templates know `version`, the `family` of fonts and the
    `palette` as CSS variables of the light and the dark scheme.
    """
    environment = Environment(
        # A template of another package may extend those of the report.
        loader=ChoiceLoader([PackageLoader(package, ""), PackageLoader(PACKAGE, "")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(version=__version__, family=FAMILY, palette=_palette())
    return environment


def render_template(name: str, /, *, package: str = PACKAGE, **values: Any) -> str:
    """Return the template `name` of `package`, filled with `values`."""
    return UNSAFE.sub("", template_environment(package).get_template(name).render(**values))


def _palette() -> dict[str, dict[str, str]]:
    """Return the CSS variables of both colour schemes."""
    names = {light: variable[6:-1] for light, variable in VARIABLES.items() if variable.startswith("var(--")}
    return {
        "light": {"ink": INK, **{name: light for light, name in names.items()}},
        "dark": {"ink": DARK[INK], **{name: DARK[light] for light, name in names.items()}},
    }

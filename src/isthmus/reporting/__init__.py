"""Show results: the report page, pages of other results, plot functions on a given axis, and loading of results."""

from typing import TYPE_CHECKING

from isthmus.reporting.loading import load
from isthmus.reporting.report_page import report
from isthmus.reporting.section import Section
from isthmus.utils.lazy import hinting_getter

__all__ = ["Section", "load", "report"]

if not TYPE_CHECKING:  # a type checker would then find every name
    __getattr__ = hinting_getter(__name__, __all__)

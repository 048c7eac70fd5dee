"""Show results: the report page, pages of other results, plot functions on a given axis, and loading of results."""

from isthmus.reporting.loading import load
from isthmus.reporting.report_page import report
from isthmus.reporting.section import Section

__all__ = ["Section", "load", "report"]

"""Show results: the report page, pages of other results, and plot functions on a given axis."""

from isthmus.reporting.report_page import report
from isthmus.reporting.section import Section

__all__ = ["Section", "report"]

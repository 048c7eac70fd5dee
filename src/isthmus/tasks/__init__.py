"""What the gap does downstream: one file per task, in blocks of scores."""

from __future__ import annotations

from isthmus.tasks.mixed_search import MixedSearch
from isthmus.tasks.retrieval import Retrieval

__all__ = ["MixedSearch", "Retrieval"]

"""Registry of aligner classes."""

from __future__ import annotations

from typing import Any

from isthmus.utils.registry import Registry

#: All aligner classes by name. Subclasses of `Aligner` register themselves.
REGISTRY: Registry[type[Any]] = Registry("aligner", package="isthmus.align", group="isthmus.aligners")

"""Every check of what comes in, and its message: what came, what was expected, what to do."""

from __future__ import annotations


class InputError(ValueError):
    """What the user gave cannot be used. The message is one sentence that says what to do."""

"""Shared helpers: errors, validation, files, journals and number formatting."""

"""Embedding files, paired rows and demonstration data."""

"""Experiments on the theorems and on training."""

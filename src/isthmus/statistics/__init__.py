"""Moments, estimates, intervals and correlations."""

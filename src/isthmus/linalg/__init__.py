"""Linear algebra and special functions behind the measures and aligners."""

"""The theory of the modality gap as runnable code (Yi, Douady and Chen, arXiv 2510.03268)."""

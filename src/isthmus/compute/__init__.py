"""Array libraries, devices, resources and blockwise computation."""

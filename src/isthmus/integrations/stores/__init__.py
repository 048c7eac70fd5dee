"""Vector stores, one file each, which `isthmus.sources.stores` finds here. A library is imported only on use."""

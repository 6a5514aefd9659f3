"""The demonstration: an application like any other, on real work."""

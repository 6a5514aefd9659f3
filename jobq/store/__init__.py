"""The store: the only code, with `observe.py`, that executes SQL."""

"""The store: the only code, besides `observe`, that executes SQL."""

"""The console, installed as `jobq.tui`."""

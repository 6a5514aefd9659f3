"""The chaos run: everything that can fail does, while jobs are enqueued, worked and operated on."""

"""SQL of jobq, one statement a file; read by `jobq.store.statements`."""

"""What the frameworks of an application need around each attempt: contexts, care for connections, sessions."""

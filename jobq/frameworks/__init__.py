"""Support for the frameworks of an application around each attempt: contexts, connections, sessions."""

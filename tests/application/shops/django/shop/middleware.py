from django.db import close_old_connections


def fresh_connections(job, call_next):
    """Django closes its connections between requests, not between jobs."""
    close_old_connections()
    try:
        return call_next(job)
    finally:
        close_old_connections()

"""Tracebacks for readers: which frames are the job's own, and which a library's."""

from jobq.clean import plain

LIBRARIES = ("/site-packages/", "/dist-packages/", "/lib/python3", "<frozen ", "/jobq/runtime/")
"""Parts of a frame's file name if it is not the job's own: a library, Python itself, jobq."""


def told_apart(traceback: str) -> list[tuple[str, bool]]:
    """A traceback's lines, each with whether it is the job's own."""
    told: list[tuple[str, bool]] = []
    is_own = True
    for text in plain(traceback, 200_000).splitlines():
        if text.lstrip(" |+-").startswith('File "'):
            is_own = not any(mark in text for mark in LIBRARIES)
        elif not text.lstrip(" |").startswith(("^", "~")) and not text.startswith(("    ", "  |     ")):
            is_own = True  # a message, or the words between two causes
        told.append((text, is_own))
    return told

"""The owner of a file of code: the application, a library, Python, or jobq."""

import os
import sys
from pathlib import Path

JOBQ = f"{Path(__file__).parent}/"
DEMONSTRATION = f"{JOBQ}demo/"  # an application like any other
PYTHON = f"{Path(os.__file__).parent}/"
SCRIPTS = (f"{Path(sys.executable).parent}/", f"{sys.prefix}/bin/")
"""Programs that installers put beside Python: `jobq`, `django-admin`. They only call other code."""

NO_FILE = "<"  # <string>, <stdin>, <frozen runpy>


def is_jobqs(filename: str) -> bool:
    return filename.startswith(JOBQ) and not filename.startswith(DEMONSTRATION)


def is_librarys(filename: str) -> bool:
    """Code of a library or of Python, or code without a file."""
    is_beside_python = filename.startswith((NO_FILE, PYTHON, *SCRIPTS))
    return is_beside_python or "/site-packages/" in filename or "/dist-packages/" in filename


def is_applications(filename: str) -> bool:
    return not is_jobqs(filename) and not is_librarys(filename)

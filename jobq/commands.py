"""The command lines that jobq prints for pasting: the one place where they are put together.

A name in them (of a class, a queue, a role) may be any text. Pasted into a shell, it must stay a name.
"""

import os
from shlex import join, quote, split

from jobq.filters import quoted

CALLED_AS = "JOBQ_CALLED_AS"
"""The variable with the name of this program at the shell, if that is not `jobq`: for manage.py."""


def command(*words: object, program: str | None = None) -> str:
    """The words as one line for a shell, each quoted where it needs to be."""
    called = [program] if program is not None else split(os.environ.get(CALLED_AS, "jobq"))
    return join([*called, *map(str, words)])


def term(key: str, value: str) -> str:
    """One term of a filter that matches exactly this value, as in `class:"shop.jobs.Pay"`."""
    return f"{key}:{quoted(value, is_free=False)}"


def psql_command(sql: str) -> str:
    """A shell command that runs one statement with psql in jobq's database."""
    return f'psql "$JOBQ_DATABASE_URL" -c {quote(sql)}'

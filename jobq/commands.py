"""Command lines that jobq prints, so that they can be pasted: the one place where they are put together.

A name in them (of a class, a queue, a role) may be anybody's text. Pasted into a shell, it must stay a name.
"""

from shlex import join, quote

from jobq.filters import quoted


def command(*words: object, program: str = "jobq") -> str:
    """The words as one line for a shell, each quoted where it needs to be."""
    return join([program, *map(str, words)])


def term(key: str, value: str) -> str:
    """One term of a filter that stands for exactly this value, as in `class:"shop.jobs.Pay"`."""
    return f"{key}:{quoted(value, is_free=False)}"


def psql_command(sql: str) -> str:
    """A line for a shell that has psql execute one statement in jobq's database."""
    return f'psql "$JOBQ_DATABASE_URL" -c {quote(sql)}'

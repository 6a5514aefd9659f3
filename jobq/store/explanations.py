"""What the user can do about an error of PostgreSQL, by its SQLSTATE: on every connection, with every driver."""

import re

from jobq.errors import DatabaseError, DatabaseForbidden, DatabaseReadOnly, SchemaMissing
from jobq.settings import hide_password


def explanation(state: str | None, detail: str, *, where: str, role: str, schema: str) -> DatabaseError | None:
    """What is wrong for good, in words that help; None where it is not known, or may be over the next time."""
    match state:
        case "25006":
            return DatabaseReadOnly(
                f"{where} is read-only: a standby, or a session that may only read. Use the primary's address."
            )
        case "42P01" | "3F000" | "42703" | "42883":
            return SchemaMissing(
                f"{where} does not have jobq's tables as this version knows them in schema "
                f"{schema!r} ({detail.split(' LINE ')[0]}). Run: jobq migrate"
            )
        case "42501":
            return DatabaseForbidden(
                f"{where} does not allow that to {role}: {detail}. Use a role that may, or give this "
                "one the rights: jobq migrate --grants prints what each kind of role needs."
            )
        case "22P05":
            return DatabaseError(
                f"{where} cannot store every character ({detail.split(' CONTEXT: ')[0]}). One of encoding UTF8 can."
            )
    return None


def said(error: BaseException | str) -> str:
    """The message of an error of the driver, on one line and without a password.

    A name of a host with an "@" in it is the end of a password that was not quoted.
    """
    return re.sub(r"(?<=')[^'\s]*@", "***@", hide_password(" ".join(str(error).split())))

"""What the user can do about an error of PostgreSQL, by its SQLSTATE: on every connection, with every driver."""

from jobq.addresses import redacted
from jobq.errors import DatabaseError, DatabaseForbidden, DatabaseReadOnly, SchemaMissing


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


def said(error: BaseException | str, address: str = "") -> str:
    """The message of an error of the driver, on one line and without a password; `address` may be quoted in it."""
    return redacted(" ".join(str(error).split()), address)

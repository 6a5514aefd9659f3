"""What happens to rows of `waiting_retries`: retries that wait until a worker of some build lives."""

from dataclasses import dataclass

from jobq.store.database import Connection
from jobq.store.statements import statement


@dataclass(frozen=True, slots=True)
class WaitingRetry:
    act: int
    left_by: str
    selection: str


def leave(
    connection: Connection, schema: str, act: int, *, left_by: str, selection: str, build: str, is_younger: bool
) -> None:
    parameters = {"act": act, "left_by": left_by, "selection": selection, "build": build, "is_younger": is_younger}
    connection.execute(statement("leave_retry", schema), parameters)


def take_up(connection: Connection, schema: str) -> list[WaitingRetry]:
    """Those whose build lives, each for one worker alone."""
    return [WaitingRetry(*row) for row in connection.execute(statement("take_up_retries", schema), {}).fetchall()]


def is_any_due(connection: Connection, schema: str) -> bool:
    ((is_due,),) = connection.execute(statement("due_retries", schema), {}).fetchall()
    return bool(is_due)


def forget(connection: Connection, schema: str, act: int) -> bool:
    """It is done, or was called off. False: it was not there any more."""
    return bool(connection.execute(statement("forget_retry", schema), {"act": act}).rowcount)

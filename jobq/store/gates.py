"""What happens to rows of `gates`: what workers declare is kept."""

from jobq.store.database import Connection
from jobq.store.statements import statement


def forget_lanes(connection: Connection, schema: str) -> None:
    """Removes rows of lanes that say nothing any more."""
    connection.execute(statement("forget_lanes", schema), {})


def declare(connection: Connection, schema: str, *, loss_wait_seconds: float, only_known: bool = False) -> list[str]:
    """Keeps gates as the youngest live workers declare them; returns those that changed.

    `loss_wait_seconds`: how long lost attempts keep their places at gates with `after_loss="wait"`.
    `only_known`: workers are not asked where no gate was ever declared.
    """
    parameters = {"loss_wait_seconds": loss_wait_seconds, "only_known": only_known}
    rows = connection.execute(statement("declare_gates", schema), parameters).fetchall()
    return [name for (name,) in rows]

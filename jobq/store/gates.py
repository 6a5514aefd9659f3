"""What happens to rows of `gates`: what workers declare is kept."""

from jobq.store.database import Connection
from jobq.store.statements import statement


def declare(connection: Connection, schema: str, *, loss_wait_seconds: float) -> list[str]:
    """Keeps gates as the youngest live workers declare them; returns those that changed.

    `loss_wait_seconds`: how long lost attempts keep their places at gates with `after_loss="wait"`.
    """
    rows = connection.execute(statement("declare_gates", schema), {"loss_wait_seconds": loss_wait_seconds}).fetchall()
    return [name for (name,) in rows]

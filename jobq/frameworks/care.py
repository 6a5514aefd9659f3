"""Work for one framework between the attempts of a process; this base does nothing."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, TypeVar

Result = TypeVar("Result")


class Care:
    """The care for one framework. Its errors are logged, and never become those of a job."""

    def begin(self) -> None:
        """Before the arguments are loaded, in the thread that runs the attempt."""

    def end(self) -> None:
        """After the attempt, in the same thread."""

    def rest(self) -> float | None:
        """While the process waits for jobs. Returns the seconds until the next call; None: none is needed."""
        return None

    def beside_others(self) -> AbstractAsyncContextManager[None]:
        """Around an attempt whose coroutine runs beside others."""
        return nullcontext()

    async def in_thread(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Runs a function outside the event loop."""
        import asyncio

        return await asyncio.to_thread(function, *arguments)

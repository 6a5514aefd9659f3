"""What is done for one framework between the attempts of a process; here, that is nothing."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, TypeVar

Result = TypeVar("Result")


class Care:
    """One framework's. Errors in it are logged, and never those of a job."""

    def begin(self) -> None:
        """Before the arguments are loaded, in the thread that runs the attempt."""

    def end(self) -> None:
        """After the attempt, in the same thread."""

    def rest(self) -> float | None:
        """While the process waits for jobs. The seconds until the next call; None: none is needed."""
        return None

    def beside_others(self) -> AbstractAsyncContextManager[None]:
        """Around an attempt whose coroutine runs beside others."""
        return nullcontext()

    async def in_thread(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Runs a function outside the event loop."""
        import asyncio

        return await asyncio.to_thread(function, *arguments)

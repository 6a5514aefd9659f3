"""`jobq tui --web`: the console in a browser on this machine."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

import click

from jobq.errors import UsageError
from jobq.settings import Settings, environment_of

Command = TypeVar("Command", bound=Callable[..., Any])

PORT = 8765

LOOPBACK = ("127.0.0.1", "localhost")


@dataclass(frozen=True, slots=True)
class WebOptions:
    port: int
    is_writable: bool


def web_options(function: Command) -> Command:
    """--web and its options. The command gets `web`, which is None without it."""

    @click.option("--web", "is_web", is_flag=True, help="In a browser on this machine, read-only (extra 'web').")
    @click.option("--write", "is_writable", is_flag=True, help="With --web: allow changes.")
    @click.option(
        "--port", type=click.IntRange(0, 65535), metavar="PORT", help=f"With --web: instead of {PORT}; 0 is any."
    )
    @click.option("--host", metavar="ADDRESS", hidden=True)
    @wraps(function)
    def with_web(*args: Any, is_web: bool, is_writable: bool, port: int | None, host: str | None, **kwargs: Any) -> Any:
        if not is_web and (is_writable or port is not None or host is not None):
            raise UsageError("--write, --port and --host are options of --web.")
        if is_writable and kwargs["is_read_only"]:
            raise UsageError("Say either --write or --read-only.")
        if host is not None and host not in LOOPBACK:
            raise UsageError(
                f"The console is not served on {host}, only on 127.0.0.1. From another machine, make a tunnel "
                f"(ssh -L {port or PORT}:127.0.0.1:{port or PORT} HOST), and open the printed address there."
            )
        web = WebOptions(PORT if port is None else port, is_writable) if is_web else None
        return function(*args, web=web, **kwargs)

    return with_web  # type: ignore[return-value]  # click passes everything by name


def serve(web: WebOptions, settings: Settings, title: str, options: Sequence[str]) -> None:
    """Serves consoles with these settings until a signal stops it."""
    try:
        from jobq.tui.web.server import WebConsole
    except ModuleNotFoundError as error:
        raise UsageError(
            f"jobq tui --web needs the extra 'web' (no module named {error.name!r}): pip install 'jobq[web]'"
        ) from None
    environment = {**os.environ, **environment_of(settings)}
    command = [sys.executable, "-P", "-m", "jobq", "tui", *([] if web.is_writable else ["--read-only"]), *options]
    WebConsole(command, environment, title=title, tell=tell, port=web.port).serve()


def tell(address: str) -> None:
    click.echo(f"the console, for one browser: {address}")


def is_served() -> bool:
    """Whether this process draws for a browser, and so needs no terminal."""
    if (driver := os.environ.get("TEXTUAL_DRIVER")) is None:
        return False
    from jobq.tui.web.driver import NAME

    return bool(driver == NAME)

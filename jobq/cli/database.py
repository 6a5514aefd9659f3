"""`jobq migrate` and `jobq db`: the schema, and the embedded PostgreSQL."""

import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from jobq.cli.options import database_options, hush_driver, json_option
from jobq.cli.render import say, show_json
from jobq.commands import command
from jobq.errors import EmbeddedServerError, UsageError
from jobq.settings import Settings, is_identifier, load

if TYPE_CHECKING:
    from jobq.store.migrations import Standing

DEFAULT_PREFIX = "jobq_"
"""Used with the kind of role after it: the default name of the role that gets the rights."""


@click.command()
@click.option("--plan", "is_plan", is_flag=True, help="Print the SQL and run nothing.")
@click.option(
    "--grants",
    "kind",
    is_flag=False,
    flag_value="all",
    type=click.Choice(["enqueuer", "web", "worker", "reader", "operator", "all"]),
    help="Print the minimal GRANT statements for a kind of role, or for all, and run nothing.",
)
@click.option("--to", "grantee", metavar="ROLE", help="With --grants: name of the role, not jobq_worker and so on.")
@database_options
def migrate(is_plan: bool, kind: str | None, grantee: str | None, settings: Settings) -> None:
    """Create jobq's tables, or bring them up to date.

    Safe to run from any number of places at once, and while workers run. The objects belong to the role that runs it.
    Other roles need the rights that --grants prints; the owner grants them, and again after an upgrade.
    """
    if kind is not None:
        print_grants(kind, grantee, settings)
        return
    if grantee is not None:
        raise UsageError("--to names the role for --grants. Use them together.")
    from jobq.store import migrations
    from jobq.store.database import Database

    hush_driver()
    database = Database(settings)
    click.get_current_context().call_on_close(database.close)
    if is_plan:
        print_plan(migrations.look(database))
        return
    applied = migrations.migrate(database)
    for migration in applied:
        click.echo(f"applied {migration.name}")
    if not applied:
        say(up_to_date(migrations.look(database)))
    if (remedy := migrations.search_path_remedy(database)) is not None:
        say(
            f"warning: for this role, schema {settings.schema!r} is the first of search_path. Tables that your "
            "application makes with it go there, and Alembic takes jobq's tables for yours. Give your application a "
            f"role with another name, or run: {remedy}"
        )


def print_plan(found: "Standing") -> None:
    for migration in found.missing:
        click.echo(f"-- {migration.name}\n{migration.text}")
    if not found.missing:
        say(up_to_date(found))
        return
    say(f"{len(found.missing)} migrations would be applied")
    if not found.applied:
        return
    if found.version >= found.min_version_after:
        say("workers of the previous release keep working, and can restart")
    else:
        say(
            f"warning: releases before version {found.min_version_after} do not work with the schema after this, and "
            f"it is at version {found.version} now. Stop their workers first. They cannot start again"
        )


def up_to_date(found: "Standing") -> str:
    if found.version <= found.own_version:
        return "the schema is up to date"
    return f"the schema is at version {found.version}, ahead of this jobq's {found.own_version}, which works with it"


def print_grants(kind: str, grantee: str | None, settings: Settings) -> None:
    from jobq.store import rights

    if kind == "all" and grantee is not None:
        raise UsageError(f"Say what {grantee} is to be: --grants enqueuer, web, worker, reader or operator.")
    if grantee is not None and not is_identifier(grantee):
        raise UsageError(f"--to is {grantee!r}, but must be a name of 1 to 63 bytes, as PostgreSQL's names are.")
    chosen = list(rights.ROLES) if kind == "all" else [kind]
    click.echo(
        "\n\n".join(
            rights.grants(rights.ROLES[name], settings.schema, grantee or f"{DEFAULT_PREFIX}{name}") for name in chosen
        )
    )


@click.group()
def db() -> None:
    """Manage the embedded PostgreSQL, which is used if no database is configured.

    It starts with its first client, and stops some seconds after its last client has gone.
    """


@db.command()
@json_option
def status(as_json: bool) -> None:
    """Show its folder, and whether it runs."""
    from jobq import embedded

    found = embedded.status(home())
    if as_json:
        show_json(
            {
                "home": str(found.home),
                "running": found.running,
                "pid": found.pid,
                "url": found.url,
                "version": found.version,
                "data_bytes": found.data_bytes,
            }
        )
        return
    click.echo(f"home     {found.home}")
    click.echo(f"running  {f'yes, pid {found.pid}' if found.running else 'no'}")
    click.echo(f"version  {found.version or 'unknown until it has run'}")
    click.echo(f"data     {(found.data_bytes or 0) / 2**20:.0f} MB")


@db.command()
def url() -> None:
    """Print its address, and start it if needed: psql "$(jobq db url)"."""
    from jobq import embedded

    with embedded.attach(home(), announce=say) as server:
        click.echo(server.url)


@db.command()
@click.option("--foreground", is_flag=True, help="Stay until Ctrl-C or SIGTERM, for supervisors such as systemd.")
def start(foreground: bool) -> None:
    """Start it, and keep it running until `jobq db stop`, with or without clients."""
    from jobq import embedded

    if foreground:
        signal.signal(signal.SIGTERM, end_by_signal)
        embedded.keep(home(), announce=say, on_kept=print_address)
        say("it was stopped")
        return
    with embedded.attach(home(), announce=say) as server:
        if not embedded.is_kept(home()):
            start_keeper()
        click.echo(server.url)
    say(f"it runs until: {command('db', 'stop')}")


def print_address(address: str) -> None:
    """The first line of output: `jobq db start` waits for that line of the process that it started."""
    click.echo(address)
    sys.stdout.flush()
    say("the server runs until this command is stopped (Ctrl-C)")


def start_keeper() -> None:
    """Starts a process that keeps the server, and returns when the server runs."""
    keeper = subprocess.Popen(
        [sys.executable, "-m", "jobq", "db", "start", "--foreground"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )
    assert keeper.stdout is not None
    with keeper.stdout as first_line:
        if not first_line.readline():
            again = command("db", "start", "--foreground")
            raise EmbeddedServerError(f"The process that keeps the server ended at once. To see why: {again}")
    keeper.returncode = 0  # it continues without us: no warning about that


def end_by_signal(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


@db.command()
def stop() -> None:
    """Stop it now, even while others use it."""
    from jobq import embedded

    say("stopped" if embedded.stop(home()) else "it was not running")


@db.command()
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def reset(yes: bool) -> None:
    """Stop it, and delete it with all its jobs and history."""
    from jobq import embedded

    if not yes:
        click.confirm(f"delete the database in {home()} with all its jobs and history?", abort=True, err=True)
    embedded.reset(home())
    say(f"deleted {home()}")


def home() -> Path:
    from jobq import embedded

    settings = load()
    if settings.database_url is not None:
        where = settings.found.source if settings.found else "JOBQ_DATABASE_URL, or database_url in [tool.jobq]"
        raise UsageError(
            f"Another database is used ({where}), so there is no embedded one. To use that: "
            "export JOBQ_DATABASE_URL=embedded"
        )
    return embedded.default_home(settings.root)

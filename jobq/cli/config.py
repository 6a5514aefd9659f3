"""`jobq config`: every setting, its value, and where it comes from."""

from dataclasses import replace
from typing import Any

import click

from jobq.cli.options import json_option
from jobq.cli.render import show_json, table
from jobq.settings import Origin, load, origins


@click.command()
@json_option
def config(as_json: bool) -> None:
    """Show every setting, its value, and where it comes from."""
    found = [with_home(entry) for entry in origins()]
    if as_json:
        show_json({entry.name: {"value": entry.value, "from": entry.origin, "help": entry.help} for entry in found})
    else:
        rows = [(entry.name, shown(entry.value), entry.origin, entry.help) for entry in found]
        table(["SETTING", "VALUE", "FROM", "VALUE"], rows, elastic=["VALUE", "VALUE", "FROM"])


def with_home(entry: Origin) -> Origin:
    """If no address is configured or found, the folder of the embedded database is shown."""
    if entry.name != "database_url" or entry.value is not None:
        return entry
    from jobq.embedded import default_home

    return replace(entry, value=f"embedded in {default_home(load().root)}")


def shown(value: Any) -> str:
    if value is None or value == ():
        return ""
    return ", ".join(value) if isinstance(value, tuple) else str(value)

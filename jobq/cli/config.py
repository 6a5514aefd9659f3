"""`jobq config`: every setting, its value, and where it comes from."""

from typing import Any

import click

from jobq.cli.options import json_option
from jobq.cli.render import show_json, table
from jobq.settings import origins


@click.command()
@json_option
def config(as_json: bool) -> None:
    """Show every setting, its value, and where it comes from."""
    found = origins()
    if as_json:
        show_json({entry.name: {"value": entry.value, "from": entry.origin, "help": entry.help} for entry in found})
    else:
        rows = [(entry.name, shown(entry.value), entry.origin, entry.help) for entry in found]
        table(["SETTING", "VALUE", "FROM", "WHAT IT IS"], rows, elastic=["WHAT IT IS", "VALUE", "FROM"])


def shown(value: Any) -> str:
    if value is None or value == ():
        return ""
    return ", ".join(value) if isinstance(value, tuple) else str(value)

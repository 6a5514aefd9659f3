"""The man page, made from the commands themselves: `docs/jobq.1`, written by `python -m tests.reference`."""

import re
from inspect import cleandoc

import click

from jobq.cli import COMMANDS, GROUPS, cli
from jobq.cli.examples import EXAMPLES


def page() -> str:
    """All commands on one page, in the order of `jobq --help`."""
    context = click.Context(cli, info_name="jobq")
    parts = [
        '.TH JOBQ 1 "" "jobq" "User Commands"',
        ".SH NAME\njobq \\- background jobs from the PostgreSQL database you already have",
        ".SH SYNOPSIS\n.B jobq\n[OPTIONS] COMMAND [ARGS]...",
        f".SH DESCRIPTION\n{paragraphs(cli.help or '')}",
    ]
    for heading, names in GROUPS.items():
        parts.append(f".SH {heading.upper()}")
        parts += [f".SS jobq {name}\n{section(context, name)}" for name in names if name in COMMANDS]
    return "\n".join(parts) + "\n"


def section(context: click.Context, name: str) -> str:
    command = cli.get_command(context, name)
    assert command is not None
    return explained(command, click.Context(command, info_name=name, parent=context))


def explained(command: click.Command, context: click.Context) -> str:
    lines = [f".B {context.command_path}", escaped(" ".join(command.collect_usage_pieces(context))), ".PP"]
    lines.append(paragraphs(cleandoc(command.help or "")))
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None and isinstance(parameter, click.Option):
            lines += [".TP", f".B {escaped(record[0])}", escaped(record[1])]
    for example in EXAMPLES.get(context.command_path.removeprefix("jobq "), ()):
        lines += [".PP", ".RS", f".B jobq {escaped(example)}", ".RE"]
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            lines += [".PP", explained(below, click.Context(below, info_name=name, parent=context))]
    return "\n".join(lines)


def paragraphs(text: str) -> str:
    """A help text; what is marked as it is (`\\b`) keeps its lines."""
    found = []
    for part in re.split(r"\n\s*\n", text.strip()):
        if part.startswith("\b"):
            found.append(f".nf\n{escaped(part.removeprefix(chr(8)).strip(chr(10)))}\n.fi")
        else:
            found.append(escaped(" ".join(part.split())))
    return "\n.PP\n".join(found)


def escaped(text: str) -> str:
    """Text as roff shows it: hyphens that can be pasted, and no line that is taken for a command."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^(?=[.'])", r"\\&", text, flags=re.M)

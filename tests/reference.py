"""The parts of the documentation that are made from the code: `python -m tests.reference` writes them anew.

Each part stands between `<!-- NAME -->` and `<!-- end of NAME -->` in its file. `tests/docs/test_reference.py` fails
where a part is not what the code says.
"""

import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from html import unescape
from inspect import cleandoc
from pathlib import Path
from typing import Any

import click
import psycopg

from tests import manual
from tests.pages import ROOT

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Part:
    """One generated part of a page. What is made from the database gets a connection to one with jobq's tables."""

    name: str
    path: Path
    make: Callable[..., str]
    is_from_database: bool = False

    @property
    def begin(self) -> str:
        return f"<!-- {self.name} -->\n"

    @property
    def end(self) -> str:
        return f"<!-- end of {self.name} -->"

    def written(self) -> str:
        """What stands on the page."""
        text = self.path.read_text(encoding="utf-8")
        assert self.begin in text, f"{self.path.name} has no {self.begin.strip()}"
        assert self.end in text, f"{self.path.name} has no {self.end}"
        return text.partition(self.begin)[2].partition(self.end)[0]

    def made(self, connection: Connection) -> str:
        """What should stand there."""
        return self.make(connection) if self.is_from_database else self.make()

    def write(self, text: str) -> None:
        before, begin, rest = self.path.read_text(encoding="utf-8").partition(self.begin)
        self.path.write_text(f"{before}{begin}{text}{rest[rest.index(self.end) :]}", encoding="utf-8")


def layers() -> str:
    """The table of MAY_IMPORT, with the three large layers by their names."""
    from tests.test_architecture import MAY_IMPORT, PURE, STORE, USE

    large = {"pure": PURE, "store": STORE, "use": USE}
    rows = [["**pure**", shown_names(PURE), "pure"], ["**store**", shown_names(STORE), "pure, store"]]
    rows += [["**use**", shown_names(USE - set(special(MAY_IMPORT, large))), "pure, store, use"]]
    rows += [[f"`{part}`", "", imported(part, MAY_IMPORT[part], large)] for part in special(MAY_IMPORT, large)]
    return table(["part", "modules", "may import"], rows)


def special(may_import: dict[str, set[str]], large: dict[str, set[str]]) -> list[str]:
    """The parts with a line of their own, because they may import something else than the rest of their layer."""
    usual = {"pure": large["pure"], "store": large["pure"] | large["store"], "use": set().union(*large.values())}
    ordinary = {part for layer, parts in large.items() for part in parts if may_import[part] == usual[layer]}
    return sorted(part for part in may_import if part and part not in ordinary)


def imported(part: str, allowed: set[str], large: dict[str, set[str]]) -> str:
    rest, words = set(allowed) - {part}, []
    for layer, parts in large.items():
        if parts - {part} <= rest:
            words.append(layer)
            rest -= parts
    words += ["`import jobq`"] if "" in rest else []
    return ", ".join(words + [f"`{name}`" for name in sorted(rest - {""})]) or "the standard library"


def shown_names(names: set[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def settings() -> str:
    from jobq.settings import NAMES, Settings

    rows = [
        [f"`{field.name}`", default_of(field.metadata["default"]), field.metadata["help"]]
        for field in fields(Settings)
        if field.name in NAMES
    ]
    return table(["setting", "default", "what it is"], rows)


def default_of(default: Any) -> str:
    if default is None or default == ():
        return "none"
    if isinstance(default, bool):
        return "yes" if default else "no"
    return f"{default:g}" if isinstance(default, float) else str(default)


def command_groups() -> str:
    """The commands in the groups of `jobq --help`, one line each."""
    from jobq.cli import COMMANDS, GROUPS

    text = ""
    for heading, names in GROUPS.items():
        rows = [[f"[`jobq {name}`](#jobq-{name})", COMMANDS[name][1]] for name in names]
        text += f"**{heading}**\n\n{table(['command', 'what it does'], rows)}\n"
    return text


def commands() -> str:
    """Every command as its `--help` explains it, with its examples and options."""
    from jobq.cli import GROUPS, cli

    context = click.Context(cli, info_name="jobq")
    parts = []
    for name in [name for names in GROUPS.values() for name in names]:
        found = cli.get_command(context, name)
        assert found is not None
        parts += [explained(found, click.Context(found, info_name=name, parent=context), "##")]
    return "\n".join(parts)


def explained(command: click.Command, context: click.Context, heading: str) -> str:
    from jobq.cli.examples import EXAMPLES

    name = context.command_path
    text = f"{heading} {name}\n\n{paragraphs(cleandoc(command.help or ''))}\n\n"
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    text += f"```text\n{usage}\n```\n\n"
    if examples := EXAMPLES.get(name.removeprefix("jobq ")):
        text += "```console\n" + "".join(f"$ jobq {example}\n" for example in examples) + "```\n\n"
    rows = [[code(first), second] for first, second in records(command, context)]
    text += f"{table(['option', 'what it does'], rows)}\n" if rows else ""
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            text += explained(found, click.Context(found, info_name=below, parent=context), heading + "#")
    return text


def records(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None and isinstance(parameter, click.Option):
            yield record


def paragraphs(text: str) -> str:
    """The help text, with what stands as it is (`\\b`) in a block of its own."""
    parts = [part.strip("\n") for part in re.split(r"\n\s*\n", text)]
    return "\n\n".join(
        f"```text\n{part.removeprefix(chr(8)).strip(chr(10))}\n```" if part.startswith("\b") else escaped(part)
        for part in parts
    )


def escaped(text: str) -> str:
    """Text for people as Markdown: what looks like an element of HTML must be shown."""
    return text.replace("<", "&lt;")


def code(text: str) -> str:
    return f"`{text}`"


def table(columns: list[str], rows: list[list[str]]) -> str:
    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"

    return line(columns) + "|" + "---|" * len(columns) + "\n" + "".join(map(line, rows))


def tables(connection: Connection) -> str:
    """Every table and view with its columns, from the comments in the database."""
    text = ""
    for name, comment in connection.execute(RELATIONS).fetchall():
        columns = connection.execute(COLUMNS, [name]).fetchall()
        rows = [[f"`{column}`", kind, about or ""] for column, kind, about in columns]
        text += f"### {name}\n\n{comment or ''}\n\n{table(['column', 'type', 'what it is'], rows)}\n"
    return text


RELATIONS = """
    SELECT relname, obj_description(oid, 'pg_class')
    FROM pg_class
    WHERE relnamespace = 'jobq'::regnamespace AND relkind IN ('r', 'p', 'v') AND NOT relispartition
    ORDER BY relname NOT IN ('jobs', 'results'), relname
"""

COLUMNS = """
    SELECT attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum)
    FROM pg_attribute
    WHERE attrelid = ('jobq.' || quote_ident(%s))::regclass AND attnum > 0 AND NOT attisdropped
    ORDER BY attnum
"""


def functions(connection: Connection) -> str:
    """What `jobq.enqueue` takes, from the database."""
    (found,) = connection.execute(ENQUEUE).fetchall()
    arguments, comment = found
    rows = []
    for argument in re.split(r", (?=\w+ \w)", arguments):
        declared, _, default = argument.partition(" DEFAULT ")
        name, _, kind = declared.partition(" ")
        rows.append([f"`{name}`", kind, f"`{default}`" if default else "required"])
    return f"{comment or ''}\n\n{table(['parameter', 'type', 'default'], rows)}"


ENQUEUE = """
    SELECT pg_get_function_arguments(oid), obj_description(oid, 'pg_proc')
    FROM pg_proc
    WHERE pronamespace = 'jobq'::regnamespace AND proname = 'enqueue'
"""


def metrics() -> str:
    """Every instrument, as jobq makes it in a meter that only takes notes."""
    from unittest import mock

    from jobq import telemetry

    meter = Meter([])
    meters = mock.patch("opentelemetry.metrics.get_meter", return_value=meter)
    with meters, mock.patch.object(telemetry, "is_set_up", return_value=True):
        telemetry.Instruments()
        telemetry.observe_queues(mock.Mock())
    return table(["metric", "kind", "unit", "what it is"], meter.made)


@dataclass
class Meter:
    """Stands in for one of OpenTelemetry, and keeps what is made with it."""

    made: list[list[str]]

    def create_counter(self, name: str, unit: str, description: str) -> None:
        self.made.append([f"`{name}`", "counter", f"`{unit}`", description])

    def create_histogram(self, name: str, unit: str, description: str) -> None:
        self.made.append([f"`{name}`", "histogram", f"`{unit}`", description])

    def create_observable_gauge(self, name: str, _callbacks: Any, unit: str, description: str) -> None:
        self.made.append([f"`{name}`", "gauge", f"`{unit}`", description])


def actions() -> str:
    from jobq.tui.actions import ACTIONS

    rows = [[f"`{action.name}`", f"`{action.key}`", action.help] for action in ACTIONS]
    return table(["action", "key", "what it does"], rows)


def console() -> str:
    """The console's overview as plain text, from the picture of it: text survives where pictures are not shown."""
    picture = ROOT / "snapshots" / "tui" / "test_snapshots" / "test_a_screen_in_a_state[overview-trouble-80x24].svg"
    lines: dict[float, str] = {}
    for x, y, text in re.findall(SHOWN, picture.read_text(encoding="utf-8")):
        column = round(float(x) / CELL_WIDTH)
        lines[float(y)] = lines.get(float(y), "").ljust(column) + unescape(text).replace("\xa0", " ")
    return "```text\n" + "\n".join(lines[y].rstrip() for y in sorted(lines)) + "\n```\n"


SHOWN = r'<text class="[^"]*-r\d+" x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>'

CELL_WIDTH = 12.2
"""Of one character in a picture of the console."""

DOCS = ROOT / "docs"

PARTS = (
    Part("console", ROOT / "README.md", console),
    Part("layers", ROOT / "ARCHITECTURE.md", layers),
    Part("actions", DOCS / "console.md", actions),
    Part("command groups", DOCS / "reference" / "commands.md", command_groups),
    Part("commands", DOCS / "reference" / "commands.md", commands),
    Part("settings", DOCS / "reference" / "settings.md", settings),
    Part("functions", DOCS / "reference" / "sql.md", functions, is_from_database=True),
    Part("tables", DOCS / "reference" / "sql.md", tables, is_from_database=True),
    Part("metrics", DOCS / "reference" / "telemetry.md", metrics),
)

MAN_PAGE = DOCS / "jobq.1"


def main() -> None:
    with database() as connection:
        for part in PARTS:
            part.write(part.made(connection))
            sys.stdout.write(f"{part.path.relative_to(ROOT)}: {part.name}\n")
    MAN_PAGE.write_text(manual.page(), encoding="utf-8")
    sys.stdout.write(f"{MAN_PAGE.relative_to(ROOT)}\n")


@contextmanager
def database() -> Iterator[Connection]:
    """A database with jobq's tables, on a server that ends with this program."""
    from jobq import embedded
    from jobq.settings import Settings
    from jobq.testing import Databases

    with tempfile.TemporaryDirectory(prefix="jobq-reference-") as folder:
        Path(folder).chmod(0o755)  # as root, the server is another user
        server = embedded.attach(Path(folder) / "server", linger=0)
        try:
            with Databases.on(server.url, Settings()) as databases, databases.new() as settings:
                assert settings.database_url is not None
                with psycopg.connect(settings.database_url) as connection:
                    yield connection
        finally:
            server.close()
            embedded.stop(Path(folder) / "server")


if __name__ == "__main__":
    main()

"""The command line. Each command lives in the module of its noun, and is imported when it is called."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click

from jobq.addresses import redacted
from jobq.errors import ApplicationError, JobqError

COMMANDS = {
    "init": ("jobq.cli.init", "Set up a project, or write files for docker, systemd …"),
    "run": ("jobq.cli.run", "Run a worker."),
    "health": ("jobq.cli.health", "Say whether the workers on this machine live: for probes."),
    "enqueue": ("jobq.cli.enqueue", "Enqueue a job."),
    "perform": ("jobq.cli.enqueue", "Run a job here and now, without a worker."),
    "tui": ("jobq.cli.tui", "Open the operations console in this terminal."),
    "list": ("jobq.cli.jobs", "List jobs, newest first."),
    "show": ("jobq.cli.jobs", "Show one job, with every attempt and its traceback."),
    "logs": ("jobq.cli.logs", "Show what a job has logged and printed."),
    "tail": ("jobq.cli.logs", "Show what jobs log and print, on all workers, as it comes."),
    "why": ("jobq.cli.why", "Explain why a job has not run yet."),
    "wait": ("jobq.cli.wait", "Wait until jobs have ended. The exit code says how."),
    "failures": ("jobq.cli.failures", "Show failures in groups of the same kind."),
    "retry": ("jobq.cli.acts", "Queue finished jobs again."),
    "cancel": ("jobq.cli.acts", "Cancel jobs: those that wait, and those that run."),
    "purge": ("jobq.cli.acts", "Delete finished jobs from the history."),
    "stack": ("jobq.cli.control", "Show what a running job is doing."),
    "pause": ("jobq.cli.control", "Start no more jobs of a queue."),
    "resume": ("jobq.cli.control", "Work a paused queue again."),
    "stop": ("jobq.cli.workers", "Stop a worker after its running jobs have ended."),
    "audit": ("jobq.cli.audit", "Show what operators did."),
    "undo": ("jobq.cli.audit", "Take back the last action, within a minute."),
    "stats": ("jobq.cli.stats", "Show jobs by state and outcome, queues and workers."),
    "top": ("jobq.cli.top", "Show what the workers do now: jobs with CPU and memory, queues, workers."),
    "queues": ("jobq.cli.stats", "List the queues."),
    "forecast": ("jobq.cli.forecast", "Say when queues will be empty, and how many processes keep up."),
    "gates": ("jobq.cli.gates", "List the gates, and limit, pause, resume, adopt or audit one."),
    "workers": ("jobq.cli.stats", "List the workers."),
    "builds": ("jobq.cli.builds", "List the builds that workers ran, and when each came."),
    "jobs": ("jobq.cli.stats", "List the registered job classes."),
    "schedules": ("jobq.cli.schedules", "List the schedules, and run, pause, resume or preview them."),
    "doctor": ("jobq.cli.doctor", "Find problems, and name the command that helps."),
    "replay": ("jobq.cli.replay", "Run a finished job again here, without touching it."),
    "check": ("jobq.cli.check", "Check whether your code can load the jobs that are queued."),
    "migrate": ("jobq.cli.database", "Create jobq's tables, or bring them up to date."),
    "db": ("jobq.cli.database", "Manage the embedded PostgreSQL."),
    "config": ("jobq.cli.config", "Show every setting, and where it comes from."),
    "completion": ("jobq.cli.completion", "Print a script that makes your shell complete commands."),
    "bench": ("jobq.cli.bench", "Measure how fast your database takes and gives jobs."),
    "demo": ("jobq.cli.demo", "Run the demonstration on real work."),
}

GROUPS = {
    "Start": ("init", "enqueue", "run", "perform", "tui", "demo"),
    "Look": (
        *("list", "show", "logs", "tail", "why", "wait", "stack", "stats", "top", "queues", "forecast", "gates"),
        *("workers", "builds", "jobs", "schedules"),
    ),
    "Find what is wrong": ("doctor", "failures", "replay", "audit"),
    "Act": ("retry", "cancel", "purge", "pause", "resume", "stop", "undo"),
    "Set up and deploy": ("migrate", "check", "health", "config", "db", "completion", "bench"),
}
"""The commands by purpose, as `--help` lists them."""


class Commands(click.Group):
    """A group that imports a command only when it is called: `jobq --help` imports none."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with reader_may_go():  # while it reads --help
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with reader_may_go():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(COMMANDS[cmd_name][0])
        command = getattr(module, f"{cmd_name}_command", None) or getattr(module, cmd_name)
        assert isinstance(command, click.Command)
        return with_examples(command, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS))
        for heading, names in GROUPS.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), COMMANDS[name][1]) for name in names])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=2)
            hint = f" Did you mean {' or '.join(near)}?" if near else " See jobq --help."
            ctx.fail(f"There is no command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)


def with_examples(command: click.Command, name: str) -> click.Command:
    """The command, with examples at the end of its help; the same for its subcommands."""
    from jobq.cli.examples import EXAMPLES

    if name in EXAMPLES:
        command.epilog = "\b\nExamples:\n" + "\n".join(f"  jobq {example}" for example in EXAMPLES[name])
    if isinstance(command, click.Group):
        for below, one in command.commands.items():
            with_examples(one, f"{name} {below}")
    return command


def print_version(ctx: click.Context, _parameter: click.Parameter, is_wanted: bool) -> None:
    if is_wanted:
        import jobq

        click.echo(f"jobq {jobq.__version__}")
        ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=print_version, help="Show the version."
)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Background jobs from the PostgreSQL database you already have.

    Settings come from [tool.jobq] in pyproject.toml, then JOBQ_* variables, then options. Exit codes: 0 done, 1 the
    work failed, 2 the call was wrong, 3 the database could not be reached or is not ready, 124 the time was up (wait).
    """
    if "NO_COLOR" in os.environ:
        ctx.color = False


def main(arguments: list[str] | None = None) -> Any:
    """The entry point: runs a command, and turns an error into one message and an exit code."""
    prepare_streams()
    try:
        require_text(sys.argv[1:] if arguments is None else arguments)
        code = cli.main(arguments, prog_name="jobq", standalone_mode=False)
    except click.exceptions.Abort:
        sys.stderr.write("\n")
        code = 130
    except click.ClickException as error:
        message = io.StringIO()
        error.show(message)
        sys.stderr.write(redacted(message.getvalue()))  # an address may have been typed in the wrong place
        code = error.exit_code
    except JobqError as error:
        code = explain(error)
    except OSError as error:  # a full disk, a missing file: a traceback would not explain it
        code = explain(JobqError(f"{error}."))
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        code = 130
    sys.exit(code if isinstance(code, int) else 0)


@contextmanager
def reader_may_go() -> Iterator[None]:
    """Treats a closed pipe as success, unlike click: `jobq list | head`."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(0) from None


def prepare_streams() -> None:
    """Makes a closed stream lead nowhere, here and in processes that are started, so that no file gets its number.
    Characters that a terminal does not have are shown as question marks."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115 - for as long as the process lives
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def require_text(arguments: list[str]) -> None:
    """Arguments may contain bytes that are not UTF-8, but no name in a database does."""
    for place, argument in enumerate(arguments, 1):
        if "\0" in argument or any("\ud800" <= character <= "\udfff" for character in argument):
            raise click.UsageError(f"argument {place} is not text: it contains bytes that are not UTF-8, or a NUL.")


def explain(error: JobqError) -> int:
    """One clear message on stderr. If a module does not import, the user's own traceback comes first."""
    from jobq.clean import plain

    if isinstance(error, ApplicationError) and error.user_traceback:
        sys.stderr.write(plain(error.user_traceback, 20_000))
    sys.stderr.write(f"jobq: error: {redacted(plain(str(error), 4000))}\n")
    return error.exit_code

"""`jobq completion`: the script that makes a shell complete jobq's commands."""

from inspect import cleandoc

import click
from click.shell_completion import ShellComplete, get_completion_class

VARIABLE = "_JOBQ_COMPLETE"
"""click answers a shell's question if this variable is set."""

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print a script that makes SHELL complete commands, options, states, queues, classes and ids of recent jobs.

    \b
    bash:  jobq completion bash >> ~/.bashrc
    zsh:   jobq completion zsh >> ~/.zshrc     (below the line with compinit)
    fish:  jobq completion fish > ~/.config/fish/completions/jobq.fish

    Then open a new shell. At each Tab the database is asked for names and ids. If it is silent for a second, nothing
    is offered.
    """
    click.echo(script_for(shell))


def script_for(shell: str) -> str:
    made = get_completion_class(shell)
    assert made is not None
    return cleandoc(complete_of(made).source())


def complete_of(made: type[ShellComplete]) -> ShellComplete:
    from jobq.cli import cli

    return made(cli, {}, "jobq", VARIABLE)

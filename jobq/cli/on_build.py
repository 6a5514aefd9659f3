"""`jobq retry --on-build`: a retry that waits until a worker of some build lives."""

from typing import Any

import click

from jobq.cli.acts import check_states, confirmed
from jobq.cli.options import id_of, is_given, is_id, open_database, select
from jobq.cli.render import say, show_json
from jobq.errors import UsageError
from jobq.settings import Settings
from jobq.states import FINISHED


def retry_on_build(
    build: str,
    *,
    words: tuple[str, ...],
    yes: bool,
    settings: Settings,
    as_json: bool,
    attempt: int | None = None,
    **chosen: Any,
) -> None:
    from jobq import operate
    from jobq.operate.retrying_on_build import called_off

    if attempt is not None:
        raise UsageError("--attempt does not go with --on-build: the jobs are chosen when the build lives.")
    if not words and not is_given(chosen):
        raise UsageError("Say which jobs to retry: either ids, or a filter such as --group or 'outcome:errored'.")
    if words and all(map(is_id, words)):
        words = (f"id:{','.join(str(id_of(word)) for word in words)}",)
    database = open_database(settings)
    awaited = operate.awaited_of(database, build)
    selection = select(words, chosen).among(FINISHED).checked()
    check_states("retry", selection, [FINISHED])
    say(f"waits for {awaited}; what matches then is retried. Now:")
    confirmed(database, "retry", selection, is_sure=yes)
    act = operate.retry_on_build(database, selection, awaited)
    if as_json:
        show_json({"act": act, "build": awaited.build, "is_younger": awaited.is_younger})
    else:
        click.echo(f"act {act}: waits for {awaited}")
    say(called_off(act))

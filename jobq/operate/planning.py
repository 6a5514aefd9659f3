"""Asks the application what a new job would be, in a process of its own: nothing of it is imported here.

The process is `jobq enqueue` with the same words, which stops before it enqueues: it calls the class's constructor and
its methods, never its run(). The class must be one that the application registers: its name may come from a row, and a
row never decides which module is imported.
"""

import json
import os
import re
import signal
import subprocess
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from jobq import interpreter
from jobq.errors import EnqueueError, UnknownJobClass
from jobq.records import KeyRules, NewJob
from jobq.settings import Settings, environment_of

PLAN_SECONDS = 30.0

SLOW = re.compile(r"^jobq: the application has not loaded after \d+ s: it is (.*)$", re.MULTILINE)
CRASHED = re.compile(r'^Current thread .*\n  File "(.*)", line (\d+) in ', re.MULTILINE)
"""Messages of the process while an application takes long to load, and of the interpreter when it crashes."""


def plan(settings: Settings, words: Sequence[str]) -> NewJob:
    """The job that these words of `jobq` would enqueue: `enqueue`, the class, its arguments and options.

    Raises UnknownJobClass if the class's code is not here, and EnqueueError, which says what is wrong with the job.
    """
    answer = asked(settings, words)
    if (why := answer.get("not_here")) is not None:
        raise UnknownJobClass(why)
    if (problem := answer.get("error")) is not None:
        raise EnqueueError(problem)
    return job_of(answer["job"])


def asked(settings: Settings, words: Sequence[str]) -> dict[str, Any]:
    with subprocess.Popen(
        interpreter.run_module("jobq.cli.planned"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment_of(settings), **interpreter.environment()},
    ) as process:
        try:
            told, complaint = process.communicate(json.dumps(words).encode(), timeout=PLAN_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            _, complaint = process.communicate()
            doing = SLOW.findall(complaint.decode(errors="replace"))
            raise EnqueueError(
                f"The application has not answered within {PLAN_SECONDS:g} s"
                + (f": it is {doing[-1]}." if doing else ".")
            ) from None
    return answer_in(told) or {"error": last_words(process.returncode, complaint)}


def last_words(exit_code: int, complaint: bytes) -> str:
    """Why the process gave no answer. After a crash, its output has its stack, the innermost frame first."""
    if exit_code >= 0:
        return last_line(complaint).removeprefix("jobq: error: ") or "it ended without a message"
    place = CRASHED.search(complaint.decode(errors="replace"))
    return f"its process was killed by {signal.Signals(-exit_code).name}" + (
        f" at {place[1]}:{place[2]}" if place else ""
    )


def answer_in(told: bytes) -> dict[str, Any] | None:
    """The last line that the process wrote: the application may have written others."""
    try:
        answer = json.loads(last_line(told))
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def last_line(text: bytes) -> str:
    return (text.decode(errors="replace").strip().splitlines() or [""])[-1]


def as_json(new: NewJob) -> str:
    """A job for the process that asked."""
    return json.dumps({"job": new._asdict()}, default=datetime.isoformat)


def job_of(told: dict[str, Any]) -> NewJob:
    times = {name: datetime.fromisoformat(told[name]) for name in ("run_at", "expires_at") if told[name] is not None}
    rules = None if told["key_rules"] is None else KeyRules(*told["key_rules"])
    return NewJob(**{**told, **times, "key_rules": rules})

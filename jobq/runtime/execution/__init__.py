"""Runs one job in this process and decides its outcome.

attempt     one attempt, from the first step to the report
build       makes the job from its arguments
perform     calls run() or a hook, with the middleware around it
running     what the job knows about itself meanwhile
classify    decides the outcome
measure     CPU time and memory
redact      text that may be stored
"""

from jobq.runtime.execution.attempt import execute, execute_async, leave_if_forked
from jobq.runtime.execution.build import build_in_turn, in_session_of
from jobq.runtime.execution.perform import run, run_here
from jobq.runtime.execution.redact import (
    MAX_MESSAGE_CHARACTERS,
    MAX_TRACEBACK_CHARACTERS,
    message_of,
    traceback_of,
)

__all__ = [
    "MAX_MESSAGE_CHARACTERS",
    "MAX_TRACEBACK_CHARACTERS",
    "build_in_turn",
    "execute",
    "execute_async",
    "in_session_of",
    "leave_if_forked",
    "message_of",
    "run",
    "run_here",
    "traceback_of",
]

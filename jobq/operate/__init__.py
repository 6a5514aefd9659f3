"""The acts of operators. Each reports exactly what it did, and records who did it."""

from jobq.operate.acting import Act, Part, acting, acting_as
from jobq.operate.alerting import look_and_tell
from jobq.operate.editing import run_again, stored_name
from jobq.operate.enqueueing import add, argument_of, enqueue, plan_without_code, unknown_options
from jobq.operate.failures import MUTE_SECONDS, mute_failures, unmute_failures
from jobq.operate.gates import ActedOnGate, Adoption, adopt, adoption, limit_gate, pause_gate, resume_gate
from jobq.operate.jobs import Acted, Progress, cancel, purge, retry
from jobq.operate.logs import Following
from jobq.operate.planning import plan
from jobq.operate.queues import pause_queues, resume_queues
from jobq.operate.retrying_on_build import Awaited, awaited_of, do_waiting_retries, retry_on_build
from jobq.operate.rights import refusals
from jobq.operate.schedules import ActedOnSchedules, pause_schedule, resume_schedule, run_schedule
from jobq.operate.stacks import Stack, stack
from jobq.operate.undo import GONE, UNDO_SECONDS, UNDOABLE, remaining, undo, why_nothing
from jobq.operate.workers import ActedOnWorkers, declare_dead, stop_workers, wait_until_stopped, why_not_stopped
from jobq.store.audit import KEPT_SECONDS

__all__ = [
    "GONE",
    "KEPT_SECONDS",
    "MUTE_SECONDS",
    "UNDOABLE",
    "UNDO_SECONDS",
    "Act",
    "Acted",
    "ActedOnGate",
    "ActedOnSchedules",
    "ActedOnWorkers",
    "Adoption",
    "Awaited",
    "Following",
    "Part",
    "Progress",
    "Stack",
    "acting",
    "acting_as",
    "add",
    "adopt",
    "adoption",
    "argument_of",
    "awaited_of",
    "cancel",
    "declare_dead",
    "do_waiting_retries",
    "enqueue",
    "limit_gate",
    "look_and_tell",
    "mute_failures",
    "pause_gate",
    "pause_queues",
    "pause_schedule",
    "plan",
    "plan_without_code",
    "purge",
    "refusals",
    "remaining",
    "resume_gate",
    "resume_queues",
    "resume_schedule",
    "retry",
    "retry_on_build",
    "run_again",
    "run_schedule",
    "stack",
    "stop_workers",
    "stored_name",
    "undo",
    "unknown_options",
    "unmute_failures",
    "wait_until_stopped",
    "why_not_stopped",
    "why_nothing",
]

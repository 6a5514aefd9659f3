"""The actions on a job, wherever it is shown: in the list, and on its own page."""

from typing import Any

from jobq.records import AttemptRecord, JobDetail, JobRecord
from jobq.states import State

from ..actions import Action
from ..messages import Answered
from ..scope import Scope
from .base import ConsoleScreen
from .copy import Choice, Copy, choices
from .looking import look_up
from .stack import LiveStack


class JobScreen(ConsoleScreen):
    # What a screen says about its job

    @property
    def job(self) -> JobRecord | None:
        """The job that the keys act on."""
        raise NotImplementedError

    @property
    def job_detail(self) -> JobDetail | None:
        """Details of the job beyond its row, once they have been read."""
        raise NotImplementedError

    @property
    def scope(self) -> Scope:
        """The jobs that an act is on."""
        raise NotImplementedError

    @property
    def list_command(self) -> str | None:
        """The command line that shows the same list, if there is one."""
        return None

    @property
    def shown_text(self) -> str:
        """The shown text of the job, for copying. Empty in a list."""
        return ""

    @property
    def shown_attempt(self) -> AttemptRecord | None:
        """The attempt whose traceback is copied: by default the last that has one."""
        attempts = self.job_detail.attempts if self.job_detail is not None else ()
        return next((attempt for attempt in reversed(attempts) if attempt.traceback), None)

    def answered(self, name: str, value: Any) -> None:
        """The answer to a question of this screen."""
        raise NotImplementedError

    # Keys

    def action_retry(self) -> None:
        self._act("retry")

    def action_cancel(self) -> None:
        self._act("cancel")

    def action_purge(self) -> None:
        self._act("purge")

    def _act(self, name: str) -> None:
        if self.allowed(name):
            self.console.acting.do(name, self.scope)

    def action_edit(self) -> None:
        from .enqueue import Enqueue, model_of_job

        if self.job is not None and self.allowed("edit"):
            self.app.push_screen(Enqueue(model_of_job(self.job)))

    def action_stack(self) -> None:
        if self.job is not None and self.allowed("stack"):
            job = self.job
            look_up(self, "stack", f"#{job.id}, live stack", lambda source: source.stack(job.id, job.attempt))

    def action_log(self) -> None:
        if self.job is not None:
            self.console.navigation.open_job(self.job.id, section="Log")

    def action_copy(self) -> None:
        if self.job is not None:
            found = choices(self.job, self.job_detail, self.shown_attempt, self.list_command)
            if self.shown_text:
                found.insert(0, Choice("y", "what is shown", self.shown_text))
            self.app.push_screen(Copy(found))

    def on_answered(self, message: Answered) -> None:
        message.stop()
        if message.name == "stack":
            self.app.push_screen(LiveStack(message.value))
        else:
            self.answered(message.name, message.value)

    def why_not_in(self, action: Action, words: str, state: str) -> str | None:
        """Why an action cannot be done in a state. None if it can."""
        if action.name == "stack" and state != State.RUNNING:
            return "only a running job has one"
        if action.act is None or state in action.act.states:
            return None
        return f"{words} {state}; only {' or '.join(sorted(action.act.states))} ones can be"

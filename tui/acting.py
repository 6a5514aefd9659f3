"""Runs acts: plans an act, asks for confirmation, runs it, and reports the result. One act at a time."""

from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

from textual.message_pump import MessagePump

from jobq.observe import Selected

from . import formats
from .actions import BY_NAME, Act, Tier, acts
from .feed import Feed
from .keymap import Keymap
from .messages import Acted, Answered, Progressed, Refused
from .notices import Notices
from .plans import Plan, plan_for_jobs
from .replay import WHY_NOT
from .scope import Scope
from .source import NamedReport, NewJob, Report, Source
from .state import State
from .undoing import offer


class Dialogs(Protocol):
    """The dialogs of an act."""

    def confirm(self, plan: Plan, then: Callable[[str], None]) -> None:
        """Asks whether to do an act. After a yes, does it, with the reason that was typed."""

    def show_outcome(self, report: Report, done: str) -> None:
        """Shows the result of an act that left some of its jobs alone."""


class Acting:
    """The feed sends the events of an act to `listener`, which passes them to the methods at the end."""

    def __init__(
        self,
        feed: Feed,
        state: State,
        keymap: Keymap,
        dialogs: Dialogs,
        notices: Notices,
        listener: MessagePump,
        changed: Callable[[], None],
    ) -> None:
        """`changed` is called when the text about the current act changes."""
        self.doing: str | None = None  # the current act, in words
        self._number = 0  # of jobs that the act is on; 0: unknown
        self._feed = feed
        self._source = feed.source
        self._state = state
        self._keymap = keymap
        self._dialogs = dialogs
        self._notices = notices
        self._listener = listener
        self._changed = changed

    def why_not(self) -> str | None:
        """Why nothing can be changed now. None if changes are possible."""
        if self._state.replay is not None:
            return WHY_NOT
        if (why := self._source.access.why_not()) is not None:
            return why
        if self._state.is_frozen:
            key = self._keymap.shown("freeze")
            return f"what is shown is {formats.age(self._state.age)} old, frozen: press {key} first"
        if self._state.lost is not None:
            return "the database cannot be reached"
        if self.doing is not None:
            return f"wait until this is done: {self.doing}"
        return None

    # On jobs

    def do(self, name: str, scope: Scope) -> None:
        """Starts an act: fixes the set of jobs, asks for confirmation where needed, runs it, and reports the result."""
        act = BY_NAME[name].act
        assert act is not None
        if scope.query is not None:
            self.doing, self._number = "counting what matches", 0
            query = scope.query
            self._run("select", lambda source, progress: (act, scope, source.select(query, progress)))
            return
        classes = Counter(job.job_class for job in scope.jobs).most_common()
        seen = {job.id: job.attempt for job in scope.jobs}
        self._plan(act, scope, Selected(scope.ids, tuple(classes), seen))

    def _plan(self, act: Act, scope: Scope, selected: Selected) -> None:
        if not selected.ids:
            self._notices.tell("no job matches")
            return
        target = self._source.target
        tier = act.tier(len(selected.ids), is_production=target.is_production)
        if tier is Tier.NONE:
            self._act(act, selected, scope)
            return
        undo_key = self._keymap.shown("undo")
        plan = plan_for_jobs(act, selected, scope, tier, target, self._state.snapshot, undo_key)
        self._dialogs.confirm(plan, lambda _reason: self._act(act, selected, scope))

    def _act(self, act: Act, selected: Selected, scope: Scope) -> None:
        number = len(selected.ids)
        self.doing, self._number = f"{act.verb} {formats.plural(number, 'job')}", number
        text = str(scope.query) if scope.query else None
        self._run(act.verb, lambda source, progress: source.act(act.verb, selected, progress, text))

    # Acts on things with a name

    def do_named(self, plan: Plan | None, deed: Callable[[Source], NamedReport]) -> None:
        """Runs an act on queues, schedules, workers or groups. If there is a plan, asks for confirmation first."""
        if plan is None:
            self._run("named", lambda source, _progress: deed(source))
        else:
            self.do_for_reason(plan, lambda source, _reason: deed(source))

    def do_for_reason(self, plan: Plan, deed: Callable[[Source, str], NamedReport]) -> None:
        """The same, for an act that takes a reason."""
        self._dialogs.confirm(plan, lambda reason: self._run("named", lambda source, _progress: deed(source, reason)))

    def undo(self, act_id: int | None = None) -> None:
        """Undoes an act, by default the last one."""
        self._run("undo", lambda source, _progress: source.undo(act_id))

    def enqueue(self, new: NewJob) -> None:
        self._run("enqueue", lambda source, _progress: source.enqueue(new))

    def migrate(self) -> None:
        self._run("migrate", lambda source, _progress: source.migrate())

    def _run(self, name: str, deed: Callable[..., Any]) -> None:
        self._feed.act(self._listener, name, deed)
        self._changed()

    # Results

    def progressed(self, message: Progressed) -> None:
        of = f" of {formats.count(self._number)}" if self._number else ""
        words = "counting what matches:" if message.name == "select" else message.name
        self.doing = f"{words} {formats.count(message.seen)}{of}"

    def answered(self, message: Answered) -> None:
        if message.name == "select":
            self.doing = None
            self._plan(*message.value)
        elif message.name == "enqueue":
            self._tell_enqueued(message.value)
        elif message.name == "named":
            self.doing = None
            self._tell_named(message.value)
        elif message.name == "migrate":
            self._notices.tell("the schema is up to date")
            self._feed.look()

    def refused(self, message: Refused) -> None:
        self.doing = None
        self._notices.tell(str(message.error), is_bad=True)

    def acted(self, message: Acted) -> None:
        self.doing = None
        report = message.report
        done = next((act.done for act in acts() if act.verb == report.verb), f"{report.verb}:")
        if report.skipped:
            self._dialogs.show_outcome(report, done)
        elif report.done or report.asked or report.names:
            self._notices.tell(result_words(report, done) + offer(report, self._keymap.shown("undo")))
        else:
            self._notices.tell("no job was left to act on")

    def _tell_enqueued(self, record: Any) -> None:
        if record is None:
            problem = "nothing was enqueued: an unfinished job of this class holds the unique key"
            self._notices.tell(problem, is_bad=True)
        else:
            self._notices.tell(f"enqueued {record.job_class} as #{record.id} in {record.queue}: {record.state}")

    def _tell_named(self, report: NamedReport) -> None:
        for name in report.done:
            job = f" as #{report.jobs[name]}" if name in report.jobs else ""
            self._notices.tell(f"{report.done_words} {name}{job}{offer(report, self._keymap.shown('undo'))}")
        for name, why in report.skipped.items():
            self._notices.tell(f"{name} was left alone: {why}", is_bad=True)


def result_words(report: Report, done: str) -> str:
    """The result of an act, in a few words."""
    shown = ", ".join(f"#{job_id}" for job_id in report.done[:3])
    jobs = shown if 0 < len(report.done) <= 3 else formats.plural(len(report.done), "job")
    parts = [f"{done} {jobs}"] if report.done else []
    if report.names:
        parts.append(f"{done} {', '.join(report.names)}")
    if report.asked:
        parts.append(f"asked {formats.plural(len(report.asked), 'running job')} to end")
    return ", ".join(parts)

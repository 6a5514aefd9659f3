"""Are the workers alive, and what do they do?"""

from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical

from jobq.observe.words import waiting_text
from jobq.operate import why_not_stopped
from jobq.records import JobRecord, WorkerRecord

from .. import formats, theme
from ..actions import Action, Tier, bindings
from ..messages import Answered
from ..plans import Plan
from ..source import VIEW_BY_NAME, Source
from ..troubles import Place
from ..widgets.frame import Line
from ..widgets.rows import Column, Rows
from .base import ConsoleScreen
from .sorting import next_order, sorted_by


class Workers(ConsoleScreen):
    NAME = "workers"
    MAIN = "workers"
    ACTIONS: ClassVar[tuple[str, ...]] = ("open", "stop", "sort", "section", "enqueue")
    BINDINGS: ClassVar[list[Any]] = bindings("stop", "sort", "section")

    def __init__(self) -> None:
        super().__init__()
        self.sort: tuple[str, bool] | None = None
        self._looked_for: set[int] = set()  # jobs of children that are not among the longest
        self._found: tuple[JobRecord, ...] = ()  # those of them that are running

    def body(self) -> ComposeResult:
        yield Line(id="workers-title", classes="heading")
        yield Rows(
            self.columns(), key=lambda worker: worker.id, empty="no worker runs: start one with jobq run", id="workers"
        )
        with Vertical(id="worker"):
            yield Line(id="worker-title", classes="heading")
            yield Rows(self.child_columns(), key=lambda child: child["pid"], empty="no children", id="children")

    def on_mount(self) -> None:
        self.rows.focus()

    @property
    def rows(self) -> Rows:
        return self.query_one("#workers", Rows)

    def show_place(self, place: Place) -> None:
        self.call_later(self._go_to, place.filter)

    def _go_to(self, name: str) -> None:
        for worker in self.rows.items:
            if worker.name == name:
                self.rows.go_to(worker.id)
        self._paint_worker()

    def paint(self) -> None:
        super().paint()
        snapshot = self.console.state.snapshot
        if snapshot is None or not self.is_mounted:
            return
        workers = list(snapshot.stats.workers)
        if self.sort is not None:
            workers = sorted_by(self.rows.columns, workers, self.sort)
        self.rows.sorted_by = self.sort
        self.rows.put(workers)
        silent = sum(worker.is_silent for worker in workers)
        title = Text(f" {formats.plural(len(workers), 'worker')}, {sum(one.processes for one in workers)} processes")
        if silent:
            title.append(f"   {self.glyphs.silent} {silent} silent", theme.style(theme.BAD, bold=True))
        self.query_one("#workers-title", Line).put(title)
        self._paint_worker()
        self.paint_foot()

    def _paint_worker(self) -> None:
        worker = self.rows.current
        title, children = self.query_one("#worker-title", Line), self.query_one("#children", Rows)
        if not isinstance(worker, WorkerRecord):
            title.put(Text(""))
            children.put([])
            return
        done = worker.status.get("done")
        facts = Text(f" {worker.name}   version {worker.version}   works {', '.join(worker.queues) or 'all queues'}")
        if worker.stop_requested_at is not None:
            asked = formats.since(worker.stop_requested_at, self.console.state.now)
            facts.append(f"   asked to stop {asked} ago by {worker.stop_requested_by}", theme.style(theme.WAIT))
        if worker.waiting and not worker.is_silent:
            facts.append(f"   {waiting_text(worker.waiting)}", theme.style(theme.BAD))
        ended = f"{formats.count(done)} attempts so far " if isinstance(done, int) else ""
        title.put(facts, Text(ended, theme.style(theme.DIM)))
        children.put(children_of(worker))

    def columns(self) -> list[Column]:
        return [
            Column("WORKER", lambda worker: worker.name, most=36, order=lambda worker: worker.name),
            Column("STATE", self.state, most=18),
            Column("HEARD OF", self.heard, right=True, order=lambda worker: worker.heartbeat_seconds),
            Column("PROCESSES", lambda worker: str(worker.processes), right=True,
                   order=lambda worker: worker.processes),
            Column("RUNNING", lambda worker: formats.count(worker.running), right=True,
                   order=lambda worker: worker.running),
            Column("STARTED", lambda worker: formats.since(worker.started_at, self.console.state.now), right=True,
                   order=lambda worker: worker.started_at),
            Column("BUILD", lambda worker: worker.build or self.glyphs.none, least=110),
            Column("VERSION", lambda worker: worker.version, least=96),
            Column("QUEUES", lambda worker: ", ".join(worker.queues) or "all", is_rest=True),
        ]  # fmt: skip

    def state(self, worker: WorkerRecord) -> Text:
        """Whether it works: glyph, word and colour."""
        if worker.is_silent:
            return Text(f"{self.glyphs.silent} silent", theme.style(theme.BAD, bold=True))
        if worker.waiting:
            return Text(f"{self.glyphs.trouble} waiting", theme.style(theme.BAD, bold=True))
        if worker.is_stopping:
            return Text(f"{self.glyphs.paused} stopping", theme.style(theme.WAIT))
        if worker.stop_requested_at is not None:
            return Text(f"{self.glyphs.paused} to stop", theme.style(theme.WAIT))
        busy = any(child["job"] for child in children_of(worker))
        word, colour = ("working", theme.BUSY) if busy else ("idle", theme.DIM)
        return Text(f"{self.glyphs.states['running'] if busy else self.glyphs.none} {word}", theme.style(colour))

    def heard(self, worker: WorkerRecord) -> Text:
        word = f"{formats.age(worker.heartbeat_seconds)} ago"
        return Text(word, theme.style(theme.BAD, bold=True) if worker.is_silent else theme.style(theme.GOOD))

    def child_columns(self) -> list[Column]:
        return [
            Column("CHILD", lambda child: str(child["pid"]), right=True),
            Column("SINCE", self.child_since, right=True),
            Column("JOB", lambda child: f"#{child['job']}" if child["job"] else "", right=True),
            Column("CLASS", self.child_class, most=60, is_rest=True),
        ]

    def child_since(self, child: dict[str, Any]) -> str:
        seconds = child["seconds"]
        return formats.duration(seconds, self.glyphs.none) if child["job"] else self.glyphs.none

    def child_class(self, child: dict[str, Any]) -> Text:
        if not child["ready"]:
            return Text("starting", theme.style(theme.WAIT))
        if not child["job"]:
            return Text("idle", theme.style(theme.DIM))
        job = self._job(child["job"])
        if job is None and child["job"] not in self._looked_for:
            return Text(f"looking{self.glyphs.more}", theme.style(theme.DIM))
        if job is None:  # the heartbeat is some seconds old: short jobs have ended since
            return Text("has ended since", theme.style(theme.DIM))
        return Text.assemble(f"{job.job_class}  ", (formats.arguments(job.arguments, 120), theme.style(theme.DIM)))

    def _job(self, job_id: int) -> JobRecord | None:
        snapshot = self.console.state.snapshot
        among = (*snapshot.running, *self._found) if snapshot is not None else self._found
        return next((job for job in among if job.id == job_id), None)

    def looked(self) -> None:
        self._look_for_jobs()

    def _look_for_jobs(self) -> None:
        """A look reads only the jobs that have run longest. Jobs of this worker's children may be missing there."""
        worker, snapshot = self.rows.current, self.console.state.snapshot
        if not isinstance(worker, WorkerRecord) or snapshot is None:
            return
        longest = {job.id for job in snapshot.running}
        ids = [child["job"] for child in children_of(worker) if child["job"] and child["job"] not in longest]
        if not ids:
            return
        text = f"id:{','.join(map(str, ids))}"

        def find(source: Source) -> tuple[list[int], tuple[JobRecord, ...]]:
            return ids, source.jobs(source.query(VIEW_BY_NAME["running"], text), limit=len(ids), after=None).jobs

        self.console.feed.ask(self, "children", find, is_again=not self._looked_for.isdisjoint(ids))

    def on_answered(self, message: Answered) -> None:
        message.stop()
        ids, self._found = message.value
        self._looked_for = set(ids)
        self._paint_worker()

    def on_rows_moved(self, message: Rows.Moved) -> None:
        if message.rows is self.rows:
            self._paint_worker()
            self._look_for_jobs()
        self.paint_foot()

    def on_rows_opened(self, message: Rows.Opened) -> None:
        if message.rows is self.rows:
            self.query_one("#children", Rows).focus()
            self.paint_foot()
            return
        child = message.rows.current
        if isinstance(child, dict) and child["job"]:
            self.console.navigation.open_job(child["job"])

    def action_sort(self) -> None:
        self.sort = next_order(self.rows.columns, self.sort, self.size.width)
        self.paint()

    def action_section(self) -> None:
        children = self.query_one("#children", Rows)
        (self.rows if children.has_focus else children).focus()
        self.call_after_refresh(self.paint_foot)

    def action_stop(self) -> None:
        worker = self.rows.current
        if not isinstance(worker, WorkerRecord) or not self.allowed("stop"):
            return
        number, name, target = str(worker.id), worker.name, self.console.source.target
        where = f" on PROD {target.name}" if target.is_production else ""
        verb, title = "stop", f"Stop {name}{where}"
        running = f"{formats.plural(worker.running, 'job')} may finish" if worker.running else "it runs nothing now"
        lines = [
            ("effect", "it claims no more, gives back what it has not begun, and ends"),
            ("runs", f"{running}, within its shutdown_grace; the rest runs elsewhere"),
            ("undo", "none; what keeps it up, such as systemd, may start it again"),
        ]
        if worker.is_silent:  # it would not get the request
            verb, title = "declare dead", f"Declare {name} dead{where}"
            lines = [
                ("silent", f"for {formats.duration(worker.heartbeat_seconds)}"),
                ("effect", f"its {formats.plural(worker.running, 'job')} are taken over by others within seconds"),
                ("", "if it lives all the same, it begins anew: its late reports change nothing"),
                ("undo", "none"),
            ]
        tier = Tier.TYPED if target.is_production else Tier.YES
        plan = Plan(verb, title, tuple(lines), 1, tier, is_bad=True)
        self.console.acting.do_named(plan, lambda source: source.act_on_workers(verb, [number]))

    def why_not(self, action: Action) -> str | None:
        if action.name == "stop":
            worker = self.rows.current
            if not isinstance(worker, WorkerRecord):
                return "there is no worker"
            if not worker.is_silent and (why := why_not_stopped(worker)) is not None:
                return why
        if action.name == "open":
            focused = self.focused
            current = focused.current if isinstance(focused, Rows) else None
            if current is None:
                return "there is nothing to open"
            if isinstance(current, dict) and not current["job"]:
                return "this child runs no job"
        return super().why_not(action)


def children_of(worker: WorkerRecord) -> list[dict[str, Any]]:
    """The last heartbeat's report on each child, as far as this release understands it."""
    children = worker.status.get("children")
    found = [child for child in children if isinstance(child, dict)] if isinstance(children, list) else []
    return [
        {
            "pid": child.get("pid", place),
            "ready": bool(child.get("ready", True)),
            "job": child.get("job") if isinstance(child.get("job"), int) else None,
            "seconds": child.get("seconds") if isinstance(child.get("seconds"), int | float) else None,
        }
        for place, child in enumerate(found)
    ]

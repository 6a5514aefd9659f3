"""Acts on workers: asks them to stop."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from jobq import observe
from jobq.commands import command
from jobq.errors import AmbiguousWorker, WorkerNotFound
from jobq.operate.acting import acting, who_acts
from jobq.records import WorkerRecord
from jobq.store import workers as store
from jobq.store.database import Database

WAIT_SECONDS = 0.1


@dataclass(slots=True)
class ActedOnWorkers:
    """The result of an act on workers: the names of those that were asked, and for each of the others the reason."""

    done: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    ids: list[int] = field(default_factory=list)  # those that were asked


def stop_workers(database: Database, names: Iterable[str]) -> ActedOnWorkers:
    """Asks live workers to stop, by name or id, like a first SIGTERM: unstarted jobs go back, and running jobs may
    finish within their shutdown_grace.

    Raises WorkerNotFound before anything is done. Workers that cannot receive the request are left alone.
    """
    chosen = found(observe.workers(database), names)
    unable = {worker.id: why for worker in chosen if (why := why_not_stopped(worker))}
    able = {worker.id: worker.name for worker in chosen if worker.id not in unable}
    acted = ActedOnWorkers()
    with acting(database, "stop worker") as act:
        acted.ids = store.request_stop(act.connection, database.schema, list(able), requested_by=who_acts())
        acted.done = each_once(able[worker_id] for worker_id in acted.ids)
        act.did(names=acted.done)
    acted.skipped = {
        worker.name: unable.get(worker.id, "it has just stopped, or was asked")
        for worker in chosen
        if worker.name not in acted.done
    }
    return acted


def declare_dead(database: Database, names: Iterable[str]) -> ActedOnWorkers:
    """Declares silent workers dead at once, by name or id: others take over their jobs within seconds, instead of after
    heartbeat_timeout.

    Raises WorkerNotFound before anything is done. Those that are not silent are left alone.
    """
    live = observe.workers(database)
    # If a container was killed and started again under one name, the silent worker is meant.
    those = [worker for worker in live if worker.is_silent or not has_silent_namesake(worker, live)]
    chosen = {worker.id: worker for worker in found(those, names)}
    silent = database.settings.silent_after
    acted = ActedOnWorkers()
    with acting(database, "declare dead") as act:
        acted.ids = store.declare_dead(act.connection, database.schema, list(chosen), silent=silent)
        acted.done = each_once(chosen[worker_id].name for worker_id in acted.ids)
        act.did(names=acted.done)
    acted.skipped = {
        worker.name: f"it was heard of {worker.heartbeat_seconds:.0f} s ago: it is silent after {silent:g} s"
        for worker in chosen.values()
        if worker.name not in acted.done
    }
    return acted


def wait_until_stopped(database: Database, ids: Iterable[int]) -> None:
    """Waits until none of these workers is alive: each has signed off, or was declared dead."""
    waiting = set(ids)
    while waiting & {worker.id for worker in observe.workers(database)}:
        time.sleep(WAIT_SECONDS)


def why_not_stopped(worker: WorkerRecord) -> str | None:
    """Why a worker cannot be asked to stop. None if it can."""
    if worker.is_stopping:
        return "it is stopping already"
    if worker.stop_requested_at is not None:
        return f"{worker.stop_requested_by} has asked it already"
    if not worker.hears_requests:
        return f"its release, {worker.version}, cannot be asked: send it SIGTERM, on {worker.host}"
    return None


def found(live: Sequence[WorkerRecord], names: Iterable[str]) -> list[WorkerRecord]:
    """The workers with these names or ids, each once. Raises WorkerNotFound, or AmbiguousWorker."""
    chosen = [the_one(live, name) for name in names]
    return list({worker.id: worker for worker in chosen}.values())


def the_one(live: Sequence[WorkerRecord], name: str) -> WorkerRecord:
    """The worker with this name. Two containers may have one host name, and each a worker with process id 1."""
    meant = [worker for worker in live if name in (str(worker.id), f"#{worker.id}", worker.name)]
    meant = meant or [worker for worker in live if name == f"{worker.host}/{worker.pid}"]
    if len(meant) == 1:
        return meant[0]
    if not meant:
        there = ", ".join(sorted({worker.name for worker in live})[:8]) or "none"
        raise WorkerNotFound(f"There is no live worker {name!r}. Live workers: {there}. See {command('workers')}.")
    choices = ", ".join(
        f"{worker.name} (started {worker.started_at:%Y-%m-%d %H:%M:%S %Z}{', silent' if worker.is_silent else ''})"
        for worker in sorted(meant, key=lambda worker: worker.id)
    )
    raise AmbiguousWorker(f"{len(meant)} live workers are called {name!r}. Say which one is meant: {choices}.")


def has_silent_namesake(worker: WorkerRecord, live: Sequence[WorkerRecord]) -> bool:
    return any(other.is_silent and (other.host, other.pid) == (worker.host, worker.pid) for other in live)


def each_once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))

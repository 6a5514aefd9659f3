"""Everything that can fail does, while jobs are enqueued, worked and operated on; then the checker has the word.

    python -m tests.chaos [--minutes 5] [--seed 1] [--workers 3] [--enqueuers 3] [--operators 2] [--keep]
                          [--database-url URL | --hosts]

Workers, enqueuers and operators have a role each, with the rights of its kind. Another application looks after its
sessions on the pooler that a worker shares. One worker is started by turns with the release before and this one, with
the application before and after a rename, and half of the enqueuers stay with the old name.

Without an address a PostgreSQL of the run's own is started, on a small disk in memory where one can be mounted: only
then can the server be stopped, killed, and run out of room. Exit code 1 where a promise was not kept, with the seed and
the story of each offender.

With --hosts there are three machines, made of network namespaces: one with the database, and two with workers,
enqueuers and operators. The clocks of these two are minutes off. They are cut off for longer than a worker may be
silent, hear no answers, and lose their power. Exit code 77 where such machines cannot be made.
"""

import argparse
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from operator import itemgetter
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from tests.chaos.hosts import CLOCK_SECONDS, Host, Network, NoMeans, ServerOfHost
from tests.chaos.injector import CUT_PAST_THE_LIMIT, Injector
from tests.chaos.pooler import Pooler
from tests.chaos.proxy import Proxy, through, upstream_of
from tests.chaos.scene import HEARTBEAT_TIMEOUT, SCHEMA, Scene, role_of
from tests.chaos.workers import Worker
from tests.faults import ledger
from tests.faults.ledger import Evidence
from tests.faults.servers import Server, clean_up_when_terminated
from tests.releases import make_releases

DISK_MEGABYTES = 512

REFUSED = re.compile(r"ERROR:  (permission denied for (?!table migrations).*)")
"""In the server's log. Whoever enqueues asks for the migrations, and does without."""

NO_MEANS_EXIT = 77
"""As test harnesses know it: skipped."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--enqueuers", type=int, default=3)
    parser.add_argument("--operators", type=int, default=2)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--database-url", help="default: a server of its own")
    where.add_argument("--hosts", action="store_true", help="three machines, made of network namespaces: needs root")
    parser.add_argument("--most", type=int, default=20, help="so many offenders are shown with their stories")
    parser.add_argument("--keep", action="store_true", help="leave the folder with the ledger and the logs behind")
    chosen = parser.parse_args()
    clean_up_when_terminated()
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="jobq-chaos-"))
        folder.chmod(0o755)  # as root, the server is another user
        if not chosen.keep:
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            network = Network(folder, stack) if chosen.hosts else None
        except NoMeans as reason:
            print(f"no machines can be made of network namespaces here: {reason}", file=sys.stderr)
            return NO_MEANS_EXIT
        return Storm(folder, chosen, network, stack).run()


class Storm:
    """One run."""

    def __init__(self, folder: Path, chosen: argparse.Namespace, network: Network | None, stack: ExitStack) -> None:
        self.folder, self.chosen, self.network, self.stack = folder, chosen, network, stack
        self.random = random.Random(chosen.seed)
        self.left_out: list[str] = []
        self.server: Server | None = None
        self.disk: Path | None = None
        self.url: str = chosen.database_url or self._start_server()
        self.upstream = upstream_of(self.url)
        self.pooler = self._start_pooler()
        self.clients = None if network is not None else self._proxy(self.upstream)
        self.scene = Scene(folder, self.url, chosen.seed, stack)
        if self.server is not None:
            self.scene.make_roles()
        else:
            self.left_out.append("a role for each kind of actor: the server is not the run's own")
        releases = make_releases(folder / "release")
        self.scene.migrate(releases.after)
        self.versions = [{"APP_VERSION": "1", **releases.before}, {"APP_VERSION": "2", **releases.after}]
        self.scene.workers = [self._worker(number) for number in range(chosen.workers)]
        self.injector = Injector(
            chosen.seed,
            self.scene.workers,
            self.clients,
            server=self.server,
            url=self.url,
            pooler=self.pooler,
            disk=self.disk,
            network=network,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
        )

    # Setting up

    def _start_server(self) -> str:
        network = self.network
        self.server = Server(self.folder) if network is None else ServerOfHost(self.folder, network.database)
        self.disk = self._mount(self.server.data)
        self.stack.callback(self.server.close)
        return self.server.create().start().url

    def _mount(self, place: Path) -> Path | None:
        """A small disk, in memory; None where this user may not mount one."""
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m,mode=0700", "jobq-chaos", place],
            capture_output=True,
            text=True,
            check=False,
        )
        if mounted.returncode != 0:
            self.left_out.append(f"disk full: no disk can be mounted here ({mounted.stderr.strip()})")
            return None
        self.stack.callback(subprocess.run, ["umount", "--lazy", place], check=True)
        assert self.server is not None
        if self.server.account.is_other:
            os.chown(place, self.server.account.uid, self.server.account.gid)
        return place

    def _start_pooler(self) -> Pooler | None:
        if self.server is None or self.network is not None or shutil.which("pgbouncer") is None:
            self.left_out.append("a pooler in transaction mode: it needs pgbouncer, and a server of our own beside it")
            return None
        pooler = Pooler(self.folder, self.server, role_of("worker"))
        pooler.start()
        self.stack.callback(pooler.kill)
        return pooler

    def _proxy(self, upstream: "Path | tuple[str, int]") -> Proxy:
        proxy = Proxy(upstream)
        self.stack.callback(proxy.close)
        return proxy

    def _worker(self, number: int) -> Worker:
        """The first has two versions by turns, the second a clock of its own and coroutines, the third a pooler.

        Of machines each has every second worker, and all of its workers have its clock.
        """
        is_pooled = self.pooler is not None and number == 2
        host = self._host(number)
        proxy = None
        if host is None:
            proxy = self._proxy(self.pooler.socket if is_pooled and self.pooler else self.upstream)
        url = self._as("worker", self._url(host, proxy))
        environment = {**self.scene.environment, **(host.environment if host else {}), "JOBQ_DATABASE_URL": url}
        if number == 0:
            environment["JOBQ_MAX_JOBS_PER_PROCESS"] = "300"
        if number == 1:
            environment["JOBQ_CONCURRENCY"] = "5"
        if is_pooled and self.pooler is not None:
            environment["JOBQ_TRANSACTION_POOLER"] = "true"
            self.pooler.proxy = proxy
        clock = self.folder / "clock-1" if number == 1 and host is None else None
        versions = self.versions if number == 0 else [{}]
        return Worker(number, self.folder, proxy, environment, clock=clock, host=host, versions=versions)

    def _host(self, number: int) -> Host | None:
        return None if self.network is None else self.network.workers[number % len(self.network.workers)]

    def _url(self, host: Host | None, proxy: Proxy | None) -> str:
        """The address of the database for a machine, or by way of a proxy."""
        if proxy is not None:
            return through(proxy, self.url)
        assert self.network is not None
        assert self.server is not None
        assert host is not None
        return self.network.url(self.server, host)

    def _as(self, kind: str, url: str) -> str:
        return url if self.server is None else make_conninfo(url, user=role_of(kind))

    # The run

    def run(self) -> int:
        for worker in self.scene.workers:
            worker.start()
        self._start_clients()
        if self.network is not None:
            self.scene.await_workers()
            self.injector.begin_with_machines()
        ends = time.monotonic() + self.chosen.minutes * 60
        while time.monotonic() < ends:
            # The storm's own rhythm; nothing waits for it.
            time.sleep(self.random.uniform(0.3, 1.2))
            self.injector.draw()
            self.scene.keep_up()
        self.injector.finish()
        self.scene.finish()
        evidence = self.scene.evidence(self.injector.faults)
        self._look_for_refusals()
        if self.chosen.minutes >= 2 and not evidence.ticks:
            self.scene.accuse("no tick of a schedule was served", f"in {self.chosen.minutes:g} minutes")
        for what in self.left_out:
            print(f"left out: {what}")
        exit_code = self.scene.verdict(evidence, self._figures(evidence), most=self.chosen.most)
        if self.chosen.keep:
            print(f"folder: {self.folder}")
        return exit_code

    def _start_clients(self) -> None:
        for number in range(self.chosen.enqueuers):
            self._start_client("enqueuer", number, APP_VERSION="1" if number % 2 else "2")
        for number in range(self.chosen.operators):
            self._start_client("operator_", number)
        if self.pooler is not None:
            direct = self._as("worker", self.url)
            pooled = make_conninfo(direct, host=str(self.pooler.folder))
            self.scene.add_client("neighbour", 0, pooled, DIRECT_URL=direct)

    def _look_for_refusals(self) -> None:
        """Each actor has to get by with the rights of its kind."""
        if self.server is not None:
            for refused, count in Counter(REFUSED.findall(self.server.log.read_text(errors="replace"))).items():
                self.scene.accuse("a role lacks a right", f"{refused}, {count} times")

    def _start_client(self, program: str, number: int, **environment: str) -> None:
        host = self._host(number)
        url = self._as(program.rstrip("_"), self._url(host, self.clients))
        self.scene.add_client(program, number, url, host=host, **environment)

    def _figures(self, evidence: Evidence) -> dict[str, Any]:
        faults = self.injector.faults
        recoveries = self._recoveries(evidence)
        seconds = [each for _, each in recoveries]
        worst = max(recoveries, key=itemgetter(1), default=("none", 0.0))
        return {
            "seed": self.chosen.seed,
            "minutes": self.chosen.minutes,
            "faults": len(faults),
            **{f"  {kind}": count for kind, count in sorted(Counter(fault.kind for fault in faults).items())},
            "kills": sum("killed" in fault.kind for fault in faults),
            **ledger.figures(evidence),
            "workers declared dead": dict(Counter(host for host, _ in self._silent())),
            **self._of_hosts(),
            "looks of the neighbour on the pooler": len(evidence.of("looked")),
            "recoveries seen": len(recoveries),
            "seconds to recover, median": round(statistics.median(seconds), 2) if seconds else None,
            "seconds to recover, worst": f"{worst[1]:.2f} ({worst[0]})",
        }

    def _silent(self) -> list[tuple[str, float]]:
        """The machine of each worker that was declared dead, and when, by the ledger's clock."""
        shift = time.time() - time.monotonic()
        with psycopg.connect(self.url, autocommit=True) as connection:
            rows = connection.execute(
                f"SELECT host, stopped_at FROM {SCHEMA}.workers WHERE stop_reason = 'silent'".encode()
            ).fetchall()
        return [(host, stopped_at.timestamp() - shift) for host, stopped_at in rows]

    def _of_hosts(self) -> dict[str, Any]:
        """A run has shown something when machines were declared dead because they were cut off."""
        if self.network is None:
            return {}
        silent = self._silent()
        cuts = [place for place, fault in enumerate(self.injector.faults) if fault.kind == CUT_PAST_THE_LIMIT]
        noticed = sum(self._is_noticed(place, silent) for place in cuts)
        if not all(self._is_noticed(place, silent) for place in cuts[: len(self.network.workers)]):
            self.scene.accuse("a machine that was cut off was not declared dead", f"{noticed} of {len(cuts)}")
        clocks = ", ".join(f"{name} {seconds:+g} s" for name, seconds in CLOCK_SECONDS.items())
        return {"clocks of the machines at first": clocks, "cuts that were noticed": f"{noticed} of {len(cuts)}"}

    def _is_noticed(self, place: int, silent: list[tuple[str, float]]) -> bool:
        """Whether a worker of the machine was declared dead while it was cut off."""
        fault, hit = self.injector.faults[place], self.injector.hit[place]
        hosts = {worker.host.name for worker in hit if worker.host is not None}
        assert fault.ended is not None
        return any(host in hosts and fault.began < at < fault.ended for host, at in silent)

    def _recoveries(self, evidence: Evidence) -> list[tuple[str, float]]:
        """How long after the end of a fault every worker that was hit began its next job, or an enqueuer had its next
        answer; left out where another fault hit one of them meanwhile."""
        began = [(entry.at, int(entry.words[3])) for entry in evidence.of("began")]
        answered = [entry.at for entry in evidence.of("acknowledged")]
        found = []
        for place, fault in enumerate(self.injector.faults):
            if fault.ended is None:
                continue
            workers = self.injector.hit[place]
            times = [
                next((at for at, pid in began if at > fault.ended and pid in worker.pids), None) for worker in workers
            ] or [next((at for at in answered if at > fault.ended), None)]
            if None in times:
                continue
            fault.recovered = max(at for at in times if at is not None)
            if not any(self._is_disturbed(place, fault, other) for other in range(len(self.injector.faults))):
                found.append((fault.kind, fault.recovered - fault.ended))
        return found

    def _is_disturbed(self, place: int, fault: ledger.Fault, other: int) -> bool:
        """Whether another fault was at the same ones while this one was being recovered from."""
        disturber = self.injector.faults[other]
        assert fault.ended is not None
        assert fault.recovered is not None
        hit, also_hit = self.injector.hit[place], self.injector.hit[other]
        is_shared = bool(set(hit) & set(also_hit)) or (not hit and not (also_hit and disturber.pids))
        is_meanwhile = disturber.began < fault.recovered and (disturber.ended is None or disturber.ended > fault.ended)
        return other != place and is_shared and is_meanwhile


if __name__ == "__main__":
    sys.exit(main())

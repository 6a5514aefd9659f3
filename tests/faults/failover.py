"""Two servers with synchronous replication: the primary is killed in the middle of work, and the standby promoted.

    python -m tests.faults.failover [--rounds 3] [--seconds 8] [--away 6] [--seed 1] [--keep]

Workers and enqueuers have an address with both hosts, and go on by themselves. After each round the killed server comes
back as the standby of the other. At the end the checker has the word: nothing that was acknowledged may be lost.
"""

import argparse
import random
import shutil
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.chaos.scene import Scene
from tests.chaos.workers import Worker
from tests.faults import ledger
from tests.faults.ledger import Evidence, Fault
from tests.faults.servers import Server, clean_up_when_terminated

ENQUEUERS = 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="of work before each failover, and after the last")
    parser.add_argument("--away", type=float, default=6.0, help="seconds without a primary, at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="leave the folder with the ledger and the logs behind")
    chosen = parser.parse_args()
    clean_up_when_terminated()
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="jobq-failover-"))
        folder.chmod(0o755)  # as root, the servers are another user
        if chosen.keep:
            print(f"folder: {folder}")
        else:
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        return Failover(folder, chosen, stack).run()


class Failover:
    def __init__(self, folder: Path, chosen: argparse.Namespace, stack: ExitStack) -> None:
        self.folder, self.chosen = folder, chosen
        self.random = random.Random(chosen.seed)
        self.faults: list[Fault] = []
        self.primary, self.standby = (Server(folder, name=name) for name in ("first", "second"))
        for server in (self.primary, self.standby):
            stack.callback(server.close)
        self.primary.create().start()
        self.standby.copy(self.primary).start()
        require_standby(self.primary)
        self.scene = Scene(folder, self.primary.url, chosen.seed, stack)
        for number in range(2):
            environment = {**self.scene.environment, "JOBQ_DATABASE_URL": self._address(number)}
            self.scene.workers.append(Worker(number, folder, None, environment))

    def _address(self, number: int) -> str:
        """The hosts in either order. jobq looks for the primary by itself; applications have to say so."""
        servers = [self.primary, self.standby] if number % 2 else [self.standby, self.primary]
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
        asks = "&target_session_attrs=read-write" if number % 3 == 0 else ""
        return f"postgresql://jobq@{hosts}/postgres?connect_timeout=5{asks}"

    def run(self) -> int:
        for worker in self.scene.workers:
            worker.start()
        for number in range(ENQUEUERS):
            self.scene.add_client("enqueuer", number, self._address(number * 3))
        self.scene.add_client("operator_", 0, self._address(1))
        for _ in range(self.chosen.rounds):
            self._work(self.chosen.seconds)
            self._fail_over()
        self._work(self.chosen.seconds)
        self.scene.finish()
        evidence = self.scene.evidence(self.faults)
        return self.scene.verdict(evidence, self._figures(evidence))

    def _work(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self.scene.keep_up()
            time.sleep(0.2)

    def _fail_over(self) -> None:
        fault = Fault("primary killed", time.monotonic())
        self.faults.append(fault)
        self.primary.kill()
        time.sleep(self.random.uniform(0, self.chosen.away))  # whoever watches over the servers takes a while to notice
        self.standby.promote()
        with self.standby.connect() as connection:  # what its copy of the configuration says would hold it up
            connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
            connection.execute("SELECT pg_reload_conf()")
        fault.ended = time.monotonic()
        self.primary, self.standby = self.standby, self.primary
        self.scene.url = self.primary.url
        self._let_enqueuers_go_on()
        self.standby.copy(self.primary).start()
        require_standby(self.primary)

    def _let_enqueuers_go_on(self) -> None:
        """However much is waiting: each has to show that it has found the new primary."""
        (self.folder / "backlog").unlink(missing_ok=True)
        time.sleep(5)

    def _figures(self, evidence: Evidence) -> dict[str, Any]:
        recovered: dict[str, list[float]] = {"workers": [], "enqueuers": []}
        began = [(entry.at, int(entry.words[3])) for entry in evidence.of("began")]
        for fault in self.faults:
            assert fault.ended is not None
            for worker in self.scene.workers:
                if times := [at for at, pid in began if at > fault.ended and pid in worker.pids]:
                    recovered["workers"].append(times[0] - fault.ended)
            for number in range(ENQUEUERS):
                answers = [entry.at for entry in evidence.of("acknowledged") if entry.words[0].startswith(f"{number}-")]
                if times := [at for at in answers if at > fault.ended]:
                    recovered["enqueuers"].append(times[0] - fault.ended)
        figures: dict[str, Any] = {"seed": self.chosen.seed, "failovers": len(self.faults), **ledger.figures(evidence)}
        for who, seconds in recovered.items():
            expected = len(self.faults) * (2 if who == "workers" else ENQUEUERS)
            if len(seconds) < expected:
                self.scene.accuse("did not go on after a failover", f"{expected - len(seconds)} of {expected} {who}")
            if seconds:
                figures[f"seconds until {who} went on, median"] = round(statistics.median(seconds), 2)
                figures[f"seconds until {who} went on, worst"] = round(max(seconds), 2)
        silent = [row.id for row in evidence.results if row.outcome == "lost" and row.error_type == "WorkerLost"]
        if silent:
            self.scene.accuse("workers were taken for dead while the database was", f"jobs {silent[:10]}")
        starts = sum(len(worker.pids) for worker in self.scene.workers)
        figures["workers started"] = starts
        if starts > len(self.scene.workers):
            self.scene.accuse("a worker did not go on by itself", f"{starts} starts of {len(self.scene.workers)}")
        return figures


def require_standby(primary: Server) -> None:
    """From now on a commit is acknowledged only when the standby has it."""
    with primary.connect() as connection:
        connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        connection.execute("SELECT pg_reload_conf()")
        deadline = time.monotonic() + 60
        while not connection.execute("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'").fetchone():
            if time.monotonic() > deadline:
                raise RuntimeError("the standby does not follow the primary")
            time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())

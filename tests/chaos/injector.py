"""The faults, drawn from a deck that is shuffled by the seed: each kind comes before any comes twice."""

import itertools
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psycopg

from tests.chaos.hosts import Host, Network
from tests.chaos.pooler import Pooler
from tests.chaos.proxy import Proxy
from tests.chaos.scene import SCHEMA
from tests.chaos.workers import Worker, write_clock
from tests.faults.ledger import Fault
from tests.faults.servers import Server, kill

CUT_PAST_THE_LIMIT = "host cut off past the limit"

MAX_SECONDS_TO_SEE = 10.0
"""After the limit: workers that are disturbed themselves give the others time anew."""


class Injector:
    """Draws faults, and does them: two at most at once, and never two to the same worker, or to the server.

    Each is a method that returns when its cause is gone; what it hit is then expected to recover by itself.
    """

    def __init__(
        self,
        seed: int,
        workers: list[Worker],
        clients: Proxy | None,
        *,
        server: Server | None,
        url: str,
        pooler: Pooler | None,
        disk: Path | None,
        network: Network | None,
        heartbeat_timeout: float,
    ) -> None:
        """`clients`: the proxy of those who enqueue and operate. With a `network` there is no proxy."""
        self.random = random.Random(seed)
        self.workers, self.clients, self.server = workers, clients, server
        self.url, self.pooler, self.disk, self.network = url, pooler, disk, network
        self.heartbeat_timeout = heartbeat_timeout
        self.faults: list[Fault] = []
        self.hit: dict[int, list[Worker]] = {}  # by the place in `faults`; none: enqueuers and operators
        self.left_out: list[str] = []
        self._lock = threading.Lock()
        self._server_is_hit = False
        self._clients_are_hit = False
        self._deck: list[Callable[[], None]] = []
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="fault")
        self._under_way: list[Future[None]] = []
        self._hosts = itertools.cycle([] if network is None else network.workers)

    def kinds(self) -> list[Callable[[], None]]:
        found = [
            self.child_killed,
            self.child_stopped_for_a_moment,
            self.child_told_to_stop,
            self.supervisor_killed,
            self.supervisor_stopped_for_a_moment,
            self.supervisor_stopped_past_the_limit,
            self.supervisor_told_to_stop,
            self.supervisor_told_to_stop_twice,
            self.deploy,
            self.log_reader_hung,
            self.deploy_while_the_log_reader_hangs,
            self.sessions_terminated,
        ]
        if self.clients is not None:
            found += [
                self.network_cut,
                self.network_cut_past_the_limit,
                self.network_slow,
                self.network_silent,
                self.answer_of_a_change_lost,
                self.network_of_clients_cut,
                self.answer_to_a_client_lost,
            ]
        if self.network is not None:
            found += [
                self.host_cut_off,
                self.host_cut_off_past_the_limit,
                self.host_without_answers,
                self.host_without_power,
            ]
        if self.server is not None:
            found += [self.server_stopped_fast, self.server_killed, self.session_killed]
        if self.pooler is not None:
            found.append(self.pooler_killed)
        if any(worker.clock is not None for worker in self.workers):
            found.append(self.clock_stepped)
        if self.disk is not None:
            found.append(self.disk_full)
        return found

    def draw(self) -> None:
        """Begins the next fault of the deck, where there is room for one."""
        self._under_way = [future for future in self._under_way if not raised(future)]
        if len(self._under_way) >= 2:
            return
        if not self._deck:
            self._deck = self.kinds()
            self.random.shuffle(self._deck)
        self._under_way.append(self._threads.submit(self._deck.pop()))

    def begin_with_machines(self) -> None:
        """Each machine is cut off once while nothing else is wrong, so that also a short run has shown it."""
        assert self.network is not None
        for _ in self.network.workers:
            self.host_cut_off_past_the_limit()

    def finish(self) -> None:
        """Waits for the faults that are under way, and makes good what is left of them."""
        for future in self._under_way:
            future.result()
        self._threads.shutdown()
        for worker in self.workers:
            if worker.proxy is not None:
                worker.proxy.heal()
            kill(worker.pid, signal.SIGCONT)
            worker.keep_up()
        if self.clients is not None:
            self.clients.heal()

    # Keeping account

    def begin(self, kind: str, workers: list[Worker] | None, pids: set[int]) -> Fault:
        fault = Fault(kind, time.monotonic(), frozenset(pids))
        with self._lock:
            self.hit[len(self.faults)] = workers if workers is not None else []
            self.faults.append(fault)
        return fault

    def _take_worker(self, fits: Callable[[Worker], bool] = lambda worker: True) -> Worker | None:
        """One that no other fault is at."""
        with self._lock:
            free = [worker for worker in self.workers if not worker.is_hit and fits(worker)]
            if not free:
                return None
            worker = self.random.choice(free)
            worker.is_hit = True
        worker.keep_up()
        return worker

    def _to_worker(
        self,
        kind: str,
        act: Callable[[Worker], None],
        *,
        fits: Callable[[Worker], bool] = lambda worker: True,
        with_children: bool = False,
    ) -> None:
        worker = self._take_worker(fits)
        if worker is None:
            return
        try:
            fault = self.begin(kind, [worker], {worker.pid, *(worker.children() if with_children else ())})
            act(worker)
            fault.ended = time.monotonic()
            worker.keep_up()
        finally:
            worker.is_hit = False

    # Processes

    def _to_child(self, kind: str, act: Callable[[int], object]) -> None:
        worker = self._take_worker()
        if worker is None:
            return
        try:
            if children := worker.children():
                pid = self.random.choice(children)
                fault = self.begin(kind, [worker], {pid})
                act(pid)
                fault.ended = time.monotonic()
        finally:
            worker.is_hit = False

    def child_killed(self) -> None:
        self._to_child("child killed", kill)

    def child_stopped_for_a_moment(self) -> None:
        self._to_child("child stopped for a moment", lambda pid: stopped(pid, self.random.uniform(0.3, 1.5)))

    def child_told_to_stop(self) -> None:
        self._to_child("child SIGTERM", lambda pid: kill(pid, signal.SIGTERM))

    def supervisor_killed(self) -> None:
        def act(worker: Worker) -> None:
            assert worker.process is not None
            worker.process.kill()
            worker.process.wait()

        self._to_worker("supervisor killed", act)

    def supervisor_stopped_for_a_moment(self) -> None:
        seconds = self.random.uniform(0.2, self.heartbeat_timeout / 3)
        self._to_worker("supervisor stopped for a moment", lambda worker: stopped(worker.pid, seconds))

    def supervisor_stopped_past_the_limit(self) -> None:
        seconds = self.heartbeat_timeout + self.random.uniform(1, 3)
        self._to_worker("supervisor stopped past the limit", lambda worker: stopped(worker.pid, seconds))

    def supervisor_told_to_stop(self) -> None:
        self._to_worker("supervisor SIGTERM", lambda worker: self._terminate(worker, 1))

    def supervisor_told_to_stop_twice(self) -> None:
        self._to_worker("supervisor SIGTERM twice", lambda worker: self._terminate(worker, 2))

    def _terminate(self, worker: Worker, times: int) -> None:
        assert worker.process is not None
        for _ in range(times):
            kill(worker.pid, signal.SIGTERM)
            time.sleep(self.random.uniform(0.05, 0.3))
        worker.process.wait(60)  # its grace time, and what it may take to see that the database is away

    def deploy(self) -> None:
        """As a platform does that gives a worker less time than it needs."""
        self._to_worker("deploy: SIGTERM, then SIGKILL", lambda worker: self._replace(worker), with_children=True)

    def _replace(self, worker: Worker) -> None:
        assert worker.process is not None
        kill(worker.pid, signal.SIGTERM)
        try:
            worker.process.wait(self.random.uniform(0.1, 1.0))
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()

    # What reads the logs

    def log_reader_hung(self) -> None:
        """For longer than a worker may be silent. It costs no job: nobody is hit by it."""
        worker = self._take_worker()
        if worker is None:
            return
        try:
            fault = self.begin("log reader hung", [worker], {os.getpid()})
            with worker.log.hung():
                time.sleep(self.heartbeat_timeout + self.random.uniform(1, 3))
            fault.ended = time.monotonic()
        finally:
            worker.is_hit = False

    def deploy_while_the_log_reader_hangs(self) -> None:
        def act(worker: Worker) -> None:
            with worker.log.hung():
                time.sleep(self.random.uniform(0, 1))
                self._terminate(worker, 1)

        self._to_worker("log reader hung, and supervisor SIGTERM", act)

    # The server

    def _to_server(self, kind: str, act: Callable[[Server], None]) -> None:
        assert self.server is not None
        with self._lock:
            if self._server_is_hit:
                return
            self._server_is_hit = True
        try:
            fault = self.begin(kind, list(self.workers), set())
            act(self.server)
            if not self.server.is_running:
                self.server.start()
            fault.ended = time.monotonic()
        finally:
            self._server_is_hit = False

    def server_stopped_fast(self) -> None:
        seconds = self.random.uniform(0.2, 2)

        def act(server: Server) -> None:
            server.stop()
            time.sleep(seconds)

        self._to_server("server stopped fast", act)

    def server_killed(self) -> None:
        seconds = self.random.uniform(0, 1)

        def act(server: Server) -> None:
            server.kill()
            time.sleep(seconds)

        self._to_server("server killed", act)

    def session_killed(self) -> None:
        def act(server: Server) -> None:
            server.kill_backend()
            time.sleep(0.5)

        self._to_server("a session's process killed", act)

    def disk_full(self) -> None:
        assert self.disk is not None
        filler, seconds = self.disk / "filler", self.random.uniform(0.5, 2)

        def act(server: Server) -> None:
            try:
                fill(filler)
                time.sleep(seconds)
            finally:
                filler.unlink(missing_ok=True)
            time.sleep(0.3)  # a server that could not write its log has gone down by now

        self._to_server("disk full", act)

    def sessions_terminated(self) -> None:
        fault = self.begin("sessions terminated", list(self.workers), set())
        with suppress(psycopg.Error), psycopg.connect(self.url, autocommit=True, connect_timeout=5) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                "AND backend_type = 'client backend' ORDER BY random() LIMIT %s",
                [self.random.randrange(1, 6)],
            )
        fault.ended = time.monotonic()

    # The network

    def _to_host(self, kind: str, act: Callable[[Host, list[Worker]], None]) -> None:
        """To a machine, and with it to all of its workers; to none of which another fault is at."""
        with self._lock:
            host = next(self._hosts)
            workers = [worker for worker in self.workers if worker.host is host]
            if any(worker.is_hit for worker in workers):
                return
            for worker in workers:
                worker.is_hit = True
        try:
            for worker in workers:
                worker.keep_up()
            fault = self.begin(kind, workers, {pid for worker in workers for pid in (worker.pid, *worker.children())})
            try:
                act(host, workers)
            finally:
                host.heal()
            fault.ended = time.monotonic()
            for worker in workers:
                worker.keep_up()
        finally:
            for worker in workers:
                worker.is_hit = False

    def host_cut_off(self) -> None:
        def act(host: Host, _: list[Worker]) -> None:
            host.cut_off()
            time.sleep(self.random.uniform(0.2, self.heartbeat_timeout / 2))

        self._to_host("host cut off", act)

    def host_cut_off_past_the_limit(self) -> None:
        """Until its workers were declared dead, where the others have peace enough to see it; and on, for a while."""

        def act(host: Host, workers: list[Worker]) -> None:
            host.cut_off()
            pids = [worker.pid for worker in workers]
            deadline = time.monotonic() + self.heartbeat_timeout + MAX_SECONDS_TO_SEE
            while not self._are_declared_dead(pids) and time.monotonic() < deadline:
                time.sleep(0.1)
            time.sleep(self.random.uniform(0.5, 2))

        self._to_host(CUT_PAST_THE_LIMIT, act)

    def _are_declared_dead(self, pids: list[int]) -> bool:
        alive = f"SELECT FROM {SCHEMA}.workers WHERE pid = ANY (%s) AND stopped_at IS NULL".encode()
        with suppress(psycopg.Error), psycopg.connect(self.url, autocommit=True, connect_timeout=5) as connection:
            return connection.execute(alive, [pids]).rowcount == 0
        return False  # the server does not answer at the moment

    def host_without_answers(self) -> None:
        """The server hears it, and does what it asks for; of what became of it the host hears nothing."""

        def act(host: Host, _: list[Worker]) -> None:
            host.deafen()
            time.sleep(self.random.uniform(0.5, self.heartbeat_timeout + 3))

        self._to_host("host without answers", act)

    def host_without_power(self) -> None:
        """Its workers are gone at once, and the server is not told that their connections are."""

        def act(host: Host, workers: list[Worker]) -> None:
            host.cut_off()
            for worker in workers:
                assert worker.process is not None
                worker.process.kill()
                worker.process.wait()
            time.sleep(self.random.uniform(0.5, self.heartbeat_timeout + 3))

        self._to_host("host without power", act)

    def _through_proxy(self, kind: str, act: Callable[[Proxy], None]) -> None:
        def to(worker: Worker) -> None:
            try:
                act(network_of(worker))
            finally:
                network_of(worker).heal()

        self._to_worker(kind, to, with_children=True)

    def network_cut(self) -> None:
        self._through_proxy("network cut", lambda proxy: cut(proxy, self.random.uniform(0, 1.5)))

    def network_cut_past_the_limit(self) -> None:
        seconds = self.heartbeat_timeout + self.random.uniform(1, 3)
        self._through_proxy("network cut past the limit", lambda proxy: cut(proxy, seconds))

    def network_slow(self) -> None:
        def act(proxy: Proxy) -> None:
            proxy.delay = self.random.uniform(0.05, 0.4)
            time.sleep(self.random.uniform(1, 4))

        self._through_proxy("network slow", act)

    def network_silent(self) -> None:
        def act(proxy: Proxy) -> None:
            proxy.fall_silent()
            time.sleep(self.random.uniform(0.5, self.heartbeat_timeout + 2))

        self._through_proxy("network silent", act)

    def answer_of_a_change_lost(self) -> None:
        self._through_proxy("answer of a change lost", swallow)

    def _to_clients(self, kind: str, act: Callable[[Proxy], None]) -> None:
        assert self.clients is not None
        with self._lock:
            if self._clients_are_hit:
                return
            self._clients_are_hit = True
        try:
            # No worker is hit: no attempt can be lost by it.
            fault = self.begin(kind, None, {os.getpid()})
            act(self.clients)
            self.clients.heal()
            fault.ended = time.monotonic()
        finally:
            self._clients_are_hit = False

    def network_of_clients_cut(self) -> None:
        self._to_clients("network of enqueuers and operators cut", lambda proxy: cut(proxy, self.random.uniform(0, 2)))

    def answer_to_a_client_lost(self) -> None:
        self._to_clients("answer to an enqueuer or operator lost", swallow)

    # What else there is

    def pooler_killed(self) -> None:
        assert self.pooler is not None
        pooler = self.pooler

        def act(_: Worker) -> None:
            pooler.kill()
            time.sleep(self.random.uniform(0, 1))
            pooler.start()

        self._to_worker("pooler killed", act, fits=lambda worker: worker.proxy is pooler.proxy)

    def clock_stepped(self) -> None:
        def act(worker: Worker) -> None:
            assert worker.clock is not None
            write_clock(worker.clock, self.random.choice([-86400, -7200, -3, 0, 5, 3600, 86400 * 30]))

        # Not a cause of any loss: nobody is hit by it.
        worker = self._take_worker(lambda worker: worker.clock is not None)
        if worker is None:
            return
        try:
            fault = self.begin("clock stepped", [worker], {os.getpid()})
            act(worker)
            fault.ended = time.monotonic()
        finally:
            worker.is_hit = False


def raised(future: "Future[None]") -> bool:
    """Whether it is done; what went wrong in it is raised here: the run is worth nothing then."""
    if not future.done():
        return False
    future.result()
    return True


def network_of(worker: Worker) -> Proxy:
    assert worker.proxy is not None
    return worker.proxy


def stopped(pid: int, seconds: float) -> None:
    kill(pid, signal.SIGSTOP)
    time.sleep(seconds)
    kill(pid, signal.SIGCONT)


def cut(proxy: Proxy, seconds: float) -> None:
    proxy.cut()
    time.sleep(seconds)


def swallow(proxy: Proxy) -> None:
    """Waits until it has happened a few times, or nothing is being changed."""
    before = proxy.swallowed
    proxy.swallow = 3
    deadline = time.monotonic() + 2
    while proxy.swallowed < before + 3 and time.monotonic() < deadline:
        time.sleep(0.02)


def fill(file: Path) -> None:
    """Takes all that is left of a disk."""
    with suppress(OSError), file.open("wb", buffering=0) as out:
        block = b"\0" * 2**20
        while True:
            if out.write(block) < len(block):
                block = block[: max(1, len(block) // 2)]

"""Three machines made of network namespaces: one with the database, two with workers, joined by a switch.

Each has a network and a name of its own, and the two of the workers a clock. The link of a machine is taken out of the
switch: it stays up, and what is sent is dropped without an answer, as on a real network. This needs root on Linux, and
iproute2 and util-linux.
"""

import os
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from psycopg.conninfo import make_conninfo

from tests.chaos.workers import clock_environment, write_clock
from tests.faults.servers import Server

NETWORK = "192.0.2"
"""Reserved for documentation. Nothing of it is seen outside of the namespaces."""

CLOCK_SECONDS = {"one": 420.0, "two": -660.0}
"""How far the clocks of the two machines with workers are off. That of the database is right."""

IMPATIENT_MILLISECONDS = "2500"
"""Of a machine that takes a connection for dead in the middle of a cut. The other's go on when it is healed."""

NOBODY = "02:00:00:00:00:99"
"""A hardware address that no machine has."""


class NoMeans(Exception):
    """Machines cannot be made here."""


class Host:
    """One machine."""

    def __init__(self, network: "Network", name: str, number: int) -> None:
        self.network, self.name = network, name
        self.address = f"{NETWORK}.{number}"
        self.namespace = f"{network.prefix}-{name}"
        self.clock: Path | None = None
        self.environment: dict[str, str] = {}  # of its processes

    def inside(self) -> list[str]:
        """The words before a command that run it on this machine, in the same process."""
        renamed = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', self.name]
        return ["ip", "netns", "exec", self.namespace, *renamed]

    def set_clock(self, folder: Path, seconds: float) -> None:
        self.clock = folder / f"clock-{self.name}"
        write_clock(self.clock, seconds)
        self.environment = clock_environment(folder, self.clock)

    def cut_off(self) -> None:
        """Nothing reaches it, nothing leaves it, and nobody is told."""
        ip("-n", self.network.switch, "link", "set", self.name, "nomaster")

    def deafen(self) -> None:
        """What it sends arrives; every answer goes astray."""
        self._answer_to(NOBODY)

    def heal(self) -> None:
        ip("-n", self.network.switch, "link", "set", self.name, "master", "switch")
        self._answer_to(self._hardware_address())

    def _answer_to(self, hardware_address: str) -> None:
        database = self.network.database.namespace
        ip(
            *("-n", database, "neigh", "replace", self.address),
            *("lladdr", hardware_address, "dev", "eth0", "nud", "permanent"),
        )

    def _hardware_address(self) -> str:
        return run("ip", "netns", "exec", self.namespace, "cat", "/sys/class/net/eth0/address").strip()


class Network:
    """The switch and the machines. Raises NoMeans, in a sentence, where they cannot be made."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.prefix = f"jobq-{os.getpid()}"
        self.switch = f"{self.prefix}-switch"
        self.database = Host(self, "database", 1)
        self.workers = [Host(self, name, number) for number, name in enumerate(CLOCK_SECONDS, start=2)]
        if os.geteuid() != 0:
            raise NoMeans("only root can make them")
        try:
            self._make(stack)
        except (OSError, subprocess.CalledProcessError) as error:
            raise NoMeans(str(getattr(error, "stderr", None) or error).strip()) from None
        for host in self.workers:
            host.set_clock(folder, CLOCK_SECONDS[host.name])

    def _make(self, stack: ExitStack) -> None:
        self._add_namespace(self.switch, stack)
        ip("-n", self.switch, "link", "add", "switch", "type", "bridge")
        ip("-n", self.switch, "link", "set", "switch", "up")
        for host in (self.database, *self.workers):
            self._add_namespace(host.namespace, stack)
            link = ("type", "veth", "peer", "name", "eth0", "netns", host.namespace)
            ip("-n", self.switch, "link", "add", host.name, *link)
            ip("-n", self.switch, "link", "set", host.name, "master", "switch", "up")
            ip("-n", host.namespace, "addr", "add", f"{host.address}/24", "dev", "eth0")
            ip("-n", host.namespace, "link", "set", "eth0", "up")
            ip("-n", host.namespace, "link", "set", "lo", "up")
            run(*host.inside(), "true")

    def _add_namespace(self, name: str, stack: ExitStack) -> None:
        ip("netns", "add", name)
        stack.callback(ip, "netns", "del", name)

    def url(self, server: Server, host: Host) -> str:
        """The address of the database for a machine. On the second TCP gives up a connection within a cut."""
        patience = {"tcp_user_timeout": IMPATIENT_MILLISECONDS} if host is self.workers[-1] else {}
        return make_conninfo(server.url, host=self.database.address, connect_timeout="5", **patience)


class ServerOfHost(Server):
    """A server on one of the machines, which the others reach by the network."""

    def __init__(self, folder: Path, host: Host) -> None:
        super().__init__(folder, options=[f"listen_addresses={host.address}"])
        self.host = host

    def create(self) -> "ServerOfHost":
        super().create()
        with (self.data / "pg_hba.conf").open("a") as access:
            access.write(f"host all all {NETWORK}.0/24 trust\n")
        return self

    def command(self) -> list[str]:
        """Only root may enter the machine: the account is taken inside."""
        account = self.account
        taken = ["--reuid", str(account.uid), "--regid", str(account.gid), "--clear-groups"]
        return [*self.host.inside(), *(["setpriv", *taken] if account.is_other else []), *super().command()]

    def process_options(self) -> dict[str, Any]:
        options = super().process_options()
        return {name: value for name, value in options.items() if name not in ("user", "group", "extra_groups")}


def ip(*words: str) -> None:
    run("ip", *words)


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout

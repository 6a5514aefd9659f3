"""Debian's pgbouncer, between a worker and the server."""

import os
import subprocess
import time
from pathlib import Path

from tests.chaos.proxy import Proxy
from tests.faults.poolers import accepts
from tests.faults.servers import Server


class Pooler:
    """In transaction mode, before a server that is reached by a socket."""

    def __init__(self, folder: Path, server: Server, role: str) -> None:
        self.folder = folder / "pooler"
        self.folder.mkdir()
        self.server = server
        self.proxy: Proxy | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.configuration = self.folder / "pgbouncer.ini"
        self.configuration.write_text(
            f"[databases]\npostgres = host={server.sockets} port={server.port} dbname=postgres user={role}\n"
            "[pgbouncer]\nlisten_addr =\n"
            f"unix_socket_dir = {self.folder}\nlisten_port = {server.port}\nauth_type = any\n"
            "pool_mode = transaction\ndefault_pool_size = 8\nmax_client_conn = 200\n"
            "ignore_startup_parameters = extra_float_digits\nserver_login_retry = 1\nlog_connections = 0\n"
        )
        if server.account.is_other:
            os.chown(self.folder, server.account.uid, server.account.gid)

    @property
    def socket(self) -> Path:
        return self.folder / f".s.PGSQL.{self.server.port}"

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["pgbouncer", self.configuration],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                **self.server.account.process_options(),
            )
        deadline = time.monotonic() + 10
        while not accepts(self.socket):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"pgbouncer does not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.02)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

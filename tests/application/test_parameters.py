"""What jobs are given: secrets that nobody sees, rows of the user's own database, arguments of an older shape."""

import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobq import Job, Secret, filters, observe, register_job
from jobq.arguments import decode, encode, without_secrets
from jobq.errors import ArgumentsError
from jobq.observe import stored
from jobq.store.database import Database

if TYPE_CHECKING:
    from conftest import Application, Store

SHOPS = Path(__file__).parent / "shops"

WORD = "open-sesame"


@register_job
class Charge(Job):
    def __init__(self, card: Any = None, **more: Any) -> None:
        self.card = card

    def run(self) -> None:
        pass


def test_a_secret_is_shown_by_none_of_its_texts() -> None:
    secret = Secret(WORD)
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r:>20}", repr([secret])):
        assert WORD not in shown
    assert secret.reveal() == WORD
    assert (secret == Secret(WORD), secret == Secret("other"), secret == WORD) == (True, False, False)
    with pytest.raises(ArgumentsError):
        Secret(5)  # type: ignore[arg-type]


def test_a_secret_comes_back_from_however_deep_and_is_masked_there() -> None:
    value = {"a": [Secret(WORD), {"b": (Secret(WORD), {1: Secret(WORD)})}]}
    stored = encode({"value": value})
    assert decode(stored) == {"value": value}
    assert WORD not in json.dumps(without_secrets(json.loads(stored)))


def test_a_text_that_looks_like_a_secret_is_none() -> None:
    value = {"$": "secret", "v": WORD}
    assert decode(encode({"value": value})) == {"value": value}


def test_nothing_that_reads_shows_a_secret(
    database: Database, store: "Store", caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        record = Charge(Secret(WORD), deep={"x": [Secret(WORD)]}).run_in_worker()
    assert record is not None
    assert WORD not in repr(record)
    assert WORD not in repr(observe.show(database, record.id))
    assert WORD not in repr(observe.list_jobs(database, filters.parse("")))
    assert WORD not in caplog.text
    assert WORD in json.dumps(store.job(record.id).arguments)


def test_no_search_finds_what_a_secret_holds(database: Database) -> None:
    lock = 'open "\\sesame\\" {now}'
    card = {"pin": Secret(lock), "x": [Secret(lock), "$secret", {"y": 'visible "$": "secret", "v": "word"'}]}
    job = Charge(card).run_in_worker()
    assert job is not None
    for text in ("sesame", "open*", "args.card:*sesame*", "args.card.pin:*sesame*", "args.card.pin.v:o*",
                 "args.card.x:*now*", "args.card.x.0:*open*", "args.card.x.0.v:*open*"):  # fmt: skip
        assert observe.select(database, filters.parse(text)).ids == (), text
    for text in ("visible", "word", "args.card.x.1:$secret", "args.card.x.2.y:*word*", "-sesame",
                 "-args.card.pin.v:open*"):  # fmt: skip
        assert observe.select(database, filters.parse(text)).ids == (job.id,), text


def test_no_command_shows_a_secret_but_the_job_has_it(application: "Application", store: "Store") -> None:
    application.write(
        "jobs.py",
        """
        from jobq import Job, Secret, register_job

        @register_job
        class Login(Job):
            def __init__(self, password: Secret):
                self.password = password

            def run(self):
                if self.job.attempt == 1:
                    raise ValueError(f"cannot log in with {self.password} or {vars(self)}")
                assert self.password.reveal() == "open-sesame"
                return {"used": self.password}

            def get_retries(self):
                return 1
        """,
    )
    shown = []
    for arguments in (
        ["enqueue", "jobs.Login", WORD, "--json"],
        ["list", "--json"],
        ["run", "--drain", "--log-level", "debug"],
        ["show", "1"],
        ["show", "1", "--json"],
        ["list", "finished"],
        ["check", "--pending", "--json"],
    ):
        finished = application.jobq(*arguments)
        assert finished.returncode == 0, finished.stderr
        shown.append(finished.stdout + finished.stderr)

    assert [result.outcome for result in store.results(1)] == ["errored", "successful"]
    assert "cannot log in with Secret(•••)" in shown[3]
    assert [text for text in shown if WORD in text] == []


# Arguments of an older shape


@register_job
class Renamed(Job):
    def __init__(self, user_id: int, greeting: str = "Hello") -> None:
        self.user_id = user_id

    def run(self) -> int:
        return self.user_id

    @classmethod
    def migrate_arguments(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        return {"user_id": arguments["uid"], **{name: arguments[name] for name in arguments if name == "greeting"}}


APPLICATION = """
from jobq import Job, register_job

@register_job
class Renamed(Job):
    def __init__(self, user_id, greeting="Hello"):
        self.user_id = user_id

    def run(self):
        return self.user_id

    @classmethod
    def migrate_arguments(cls, arguments):
        return {"user_id": arguments["uid"]}
"""


def test_a_class_migrates_what_is_queued_in_its_old_shape_and_only_that(
    application: "Application", store: "Store"
) -> None:
    application.write("jobs.py", APPLICATION)
    jobs = [
        store.add(job_class="jobs.Renamed", arguments=arguments)
        for arguments in ('{"uid": 5}', '{"user_id": 6}', '{"oldest": 7}')
    ]

    application.jobq("run", "--drain")

    old, new, oldest = (store.results(job)[0] for job in jobs)
    assert (old.value, new.value) == (5, 6)
    assert (oldest.outcome, oldest.error_type) == ("errored", "KeyError")


def test_check_judges_each_job_and_says_which_the_code_at_hand_would_not_load(
    application: "Application", store: "Store"
) -> None:
    application.write("jobs.py", APPLICATION)
    store.add_many(*({"job_class": "jobs.Renamed", "arguments": json.dumps({"uid": n})} for n in range(50)))
    moment = encode({"user_id": datetime(2026, 12, 1, tzinfo=UTC)})
    store.add(job_class="jobs.Renamed", arguments=moment)
    fine = application.jobq("check", "--pending")
    assert (fine.returncode, fine.stdout) == (0, "")
    assert "all 51 jobs load" in fine.stderr

    gone = store.add(job_class="jobs.Gone")
    of_who = store.add_many(*({"job_class": "jobs.Renamed", "arguments": json.dumps({"who": n})} for n in range(30)))
    tagged = store.add(job_class="jobs.Renamed", arguments='{"user_id": {"$": "shop.Color", "v": "RED"}}')
    no_moment = store.add(job_class="jobs.Renamed", arguments=moment.replace("2026-12", "full-moon"))  # of one shape

    bad = application.jobq("check", "--pending", "--json")
    assert bad.returncode == 1
    document = json.loads(bad.stdout)
    assert (document["jobs"], document["would_not_load"]) == (84, 33)
    assert {tuple(trouble["first_ids"]): trouble["jobs"] for trouble in document["troubles"]} == {
        (gone,): 1, tuple(of_who[:5]): 30, (tagged,): 1, (no_moment,): 1,
    }  # fmt: skip
    told = application.jobq("check", "--pending")
    assert "33 of 84 jobs would not load" in told.stderr
    assert f"{', '.join(map(str, of_who[:5]))}, …" in told.stdout
    assert application.jobq("check").returncode == 2


def test_check_reads_all_that_is_queued_in_pages_of_some_jobs_and_some_bytes(
    database: Database, store: "Store", monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = store.add_many(*({"arguments": json.dumps({"text": os.urandom(50_000).hex()})} for _ in range(4)))
    ids += store.add_many(*({} for _ in range(5)))
    monkeypatch.setattr(stored, "PAGE_JOBS", 3)
    monkeypatch.setattr(stored, "PAGE_BYTES", 60_000)

    pages = list(observe.unfinished(database).pages())

    assert [[job.id for job in page] for page in pages] == [ids[0:1], ids[1:2], ids[2:3], ids[3:4], ids[4:7], ids[7:9]]


def test_check_does_not_read_arguments_that_are_far_longer_than_they_are_stored(
    database: Database, store: "Store"
) -> None:
    """As somebody else may write them: 240 kB on disk that are 120 MB of text."""
    before, large, after = store.add(), store.add(), store.add()
    store.execute(
        "UPDATE jobq.jobs SET arguments = jsonb_build_object('v', repeat(chr(1), 20000000)) WHERE id = %s", large
    )

    jobs = [job for page in observe.unfinished(database).pages() for job in page]

    assert [(job.id, job.arguments) for job in jobs] == [(before, "{}"), (large, None), (after, "{}")]


def test_check_makes_no_job_and_loads_no_row(database: Database, store: "Store") -> None:
    from jobq.arguments import check_stored

    class Explodes(Job):
        def __init__(self, row: Any) -> None:
            raise AssertionError("made")

        def run(self) -> None:
            pass

    check_stored(Explodes, '{"row": {"$": "django row", "v": {"model": "a.b", "key": 1, "database": "default"}}}')

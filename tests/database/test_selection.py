"""What a filter selects, and that none breaks the statement that it becomes part of."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobq import observe
from jobq.errors import FilterError, QueryTooSlow
from jobq.filters import KEYS, parse
from jobq.observe import reading
from jobq.states import Outcome
from jobq.store.database import Database

TEXTS = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *(f"{key}:" for key in KEYS), "=", "=42",
                "args.a.b:", "args.%s:", "-", ",", " ", " ", "*", '"', "\\", ".", ">",
                "errored", "finished", "pending", "mail", "1h", "42", "2026-12-01T09:00Z", "0001-01-01T00:00Z", "%",
                "_", "<=", "'", ";", "$1", "%s", "%(limit)s", "{schema}", "{condition}", "SCHEMA", "CONDITION",
                "漢", "9" * 18,
            ]
        ),
        st.text(max_size=8),
    ),
    max_size=10,
).map("".join)  # fmt: skip


@given(TEXTS)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_filter_breaks_the_statement(database: Database, text: str) -> None:
    try:
        selection = parse(text)
    except FilterError:
        return
    page = observe.list_jobs(database, selection)
    assert page.jobs == ()
    assert observe.select(database, selection).ids == ()


@pytest.fixture
def shop(store: Any, report: Any) -> dict[str, int]:
    """Jobs of every kind, by a name for each."""
    worker = store.worker(host="web-3", pid=7121)
    known = ["mail.Send", "crm.Merge"]
    ids = {
        "sent": store.add(queue="mail", job_class="mail.Send", arguments='{"user": {"id": 42}, "to": "a_b"}'),
        "failed": store.add(queue="mail", job_class="mail.Send", arguments='{"user": {"id": 7}, "to": "axb"}'),
        "lost": store.add(queue="default", job_class="crm.Merge", unique_key="customer-1"),
    }
    by_id = {assignment.id: assignment for assignment in store.claim(worker, ["mail", "default"], classes=known)}
    store.finish(
        worker,
        report(by_id[ids["sent"]], ended=report(by_id[ids["sent"]]).started + 9),
        report(
            by_id[ids["failed"]],
            Outcome.ERRORED,
            error_type="TimeoutError",
            error_message="100% of 30s",
            fingerprint="f" * 12,
        ),
        report(by_id[ids["lost"]], Outcome.LOST, error_type="ProcessDied", error_message="SIGSEGV"),
    )
    ids["waiting"] = store.add(queue="mail", job_class="mail.Send", arguments='{"user": {"id": 42}}', unique_key="k*")
    ids["later"] = store.add(queue="default", job_class="crm.Merge", delay=600)
    ids["tried"] = store.add(queue="tries", job_class="mail.Send", retries=1)
    (tried,) = store.claim(worker, ["tries"], classes=known)
    store.retry(worker, report(tried, Outcome.ERRORED, error_type="KeyError", error_message="vat", retry_delay=600.0))
    ids["running"] = store.add(queue="now", job_class="crm.Merge")
    store.claim(worker, ["now"], classes=known)
    store.execute("UPDATE jobq.jobs SET run_at = run_at - interval '2 minutes' WHERE id = %s", ids["waiting"])
    return ids


@pytest.fixture
def named(shop: dict[str, int], database: Database) -> Callable[[str], set[str]]:
    """The names of the jobs that a filter selects."""
    names = {job: name for name, job in shop.items()}

    def select(text: str) -> set[str]:
        selected = observe.select(database, parse(text)).ids
        assert tuple(job.id for job in observe.list_jobs(database, parse(text)).jobs) == selected
        return {names[job] for job in selected}

    return select


@pytest.mark.parametrize(
    ("text", "jobs"),
    [
        ("", "waiting later tried running"),
        ("state:pending", "waiting"),
        ("state:scheduled", "later tried"),
        ("state:running", "running"),
        ("state:finished", "sent failed lost"),
        ("-state:finished", "waiting later tried running"),
        ("-state:running,scheduled", "waiting"),
        ("outcome:errored", "failed"),
        ("outcome:errored,lost", "failed lost"),
        ("-outcome:successful", "failed lost"),
        ("state:finished queue:mail", "sent failed"),
        ("queue:mail,now", "waiting running"),
        ("-queue:mail", "later tried running"),
        ("queue:m*", "waiting"),
        ("state:finished class:mail.*", "sent failed"),
        ("class:*.Merge", "later running"),
        ("state:finished error:timeout", "failed"),
        ('state:finished error:"100% of"', "failed"),
        ("state:finished error:100%30s", ""),
        ("state:finished error:100*30s", "failed"),
        ("error:vat", "tried"),
        ("-error:vat state:scheduled", "later"),
        ("group:ffffffffffff", "failed"),
        ("state:finished worker:web-3", "sent failed lost"),
        ("state:finished worker:web-3/7121", "sent failed lost"),
        ("state:finished worker:web-4*", ""),
        ("worker:web-*", "running"),
        ("state:finished key:customer-1", "lost"),
        ('key:"k*"', "waiting"),
        ("key:k*", "waiting"),
        ('key:"k"', ""),
        ("state:finished args.user.id:42", "sent"),
        ("args.user.id:42", "waiting"),
        ("state:finished args.to:a_b", "sent"),
        ("state:finished args.to:a*b", "sent failed"),
        ("=42", "waiting"),
        ("-=42", "later tried running"),
        ("state:finished =42,axb", "sent failed"),
        ("state:finished =a_b", "sent"),
        ("state:finished =a*", "sent failed"),
        ("=user", ""),
        ('"=42"', ""),
        ("since:1h state:finished", "sent failed lost"),
        ("until:1h", ""),
        ("since:2020-01-01T00:00Z state:pending", "waiting"),
        ("tries:>0", "tried running"),
        ("tries:0", "waiting later"),
        ("state:finished ran:>5s", "sent"),
        ("state:finished -ran:>5s", "failed lost"),
        ("wait:>1m", "waiting"),
        ("state:finished sigsegv", "lost"),
        ("state:finished -sigsegv", "sent failed"),
        ("merge", "later running"),
        ("state:finished timeout,segv", "failed lost"),
        ('"\'; DROP TABLE jobq.jobs; --"', ""),
    ],
)
def test_a_filter_selects_what_it_says(text: str, jobs: str, named: Callable[[str], set[str]]) -> None:
    assert named(text) == set(jobs.split())


def test_ids_are_compared(named: Callable[[str], set[str]], shop: dict[str, int]) -> None:
    assert named(f"id:{shop['waiting']},{shop['later']}") == {"waiting", "later"}
    assert named(f"state:finished id:>{shop['sent']}") == {"failed", "lost"}


def test_pages_are_read_by_key_and_miss_none(store: Any, report: Any, database: Database) -> None:
    worker = store.worker()
    store.add_many(*[{}] * 25)
    store.finish(worker, *map(report, store.claim(worker)))
    store.add_many(*[{}] * 25)
    for text in ("state:finished", "state:pending"):
        seen: list[int] = []
        after = None
        while True:
            page = observe.list_jobs(database, parse(text), limit=10, after=after)
            seen += [job.id for job in page.jobs]
            if (after := page.next) is None:
                break
        assert len(seen) == len(set(seen)) == 25


@pytest.mark.parametrize(
    ("text", "slow"),
    [
        ("state:finished args.a:1", ("args.a",)),
        ("state:finished since:1h args.a:1", ()),
        ("outcome:errored args.a:1", ()),
        ("outcome:successful args.a:1 words", ("args.a", "free text")),
        ("-outcome:successful class:x", ("class",)),
        ("state:pending queue:mail", ()),
        ("state:running class:x", ()),
    ],
)
def test_a_term_that_no_index_serves_is_named(text: str, slow: tuple[str, ...], database: Database) -> None:
    assert observe.list_jobs(database, parse(text)).slow == slow


def test_a_search_that_takes_too_long_is_stopped_and_says_which_term_is_to_blame(
    store: Any, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever holds the table makes it wait; the limit is the same."""
    monkeypatch.setattr(reading, "READ_TIMEOUT_MS", 50)
    with store.another() as other, other.connection.transaction():
        other.execute("LOCK TABLE jobq.results IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(QueryTooSlow, match=r"args\.a.*since:"):
            observe.list_jobs(database, parse("state:finished args.a:1"))

"""Which failures are alike."""

from types import CodeType
from typing import Any

import pytest

from jobq.fingerprints import LENGTH, fingerprint, own_frame, without_varying


def raised_in(filename: str, *, through: str | None = None) -> BaseException:
    """An exception that was raised in a function of a file; `through` is the file of a library that it called."""
    inner = compile("def dig():\n    raise KeyError('x')\n", through or filename, "exec")
    outer = compile("def work(dig):\n    return dig()\n", filename, "exec")
    with pytest.raises(KeyError) as raised:
        function(outer, "work")(function(inner, "dig"))
    traceback = raised.value.__traceback__
    assert traceback is not None
    return raised.value.with_traceback(traceback.tb_next)  # without this function's own frame


def function(code: CodeType, name: str) -> Any:
    names: dict[str, Any] = {}
    exec(code, names)
    return names[name]


def test_numbers_and_ids_do_not_tell_failures_apart() -> None:
    first = "order 17 of 0xdeadbeef, 3f2504e0-4f89-11d3-9a0c-0305e82c3301, 5e8ff9bf55ba3508199d22e9"
    second = "order 9 of 0x12, aaaaaaaa-0000-11d3-9a0c-0305e82c3301, 507f1f77bcf86cd799439011"
    assert without_varying(first) == without_varying(second) == "order # of #, #, #"


@pytest.mark.parametrize("message", ["'vat_id'", "read timed out", "defaced feedback", "no such table"])
def test_words_are_kept(message: str) -> None:
    assert without_varying(message) == message


def test_the_line_of_the_place_does_not_count_but_the_function_does() -> None:
    moved = {fingerprint("a.B", "KeyError", f"a.py:{line} run", "'x'") for line in (1, 2, 300)}
    assert len(moved) == 1
    assert fingerprint("a.B", "KeyError", "a.py:1 other", "'x'") not in moved


def test_a_class_that_is_renamed_or_moved_keeps_the_groups_of_its_own_methods() -> None:
    old = fingerprint("a.B", "KeyError", "a.py:1 B.run", qualname="B")
    assert fingerprint("a.B", "KeyError", "shop/c.py:9 C.run", qualname="C") == old
    assert fingerprint("a.B", "KeyError", "shop/c.py:9 C.other", qualname="C") != old
    assert fingerprint("a.B", "KeyError", "shop/c.py:9 Cat.run", qualname="C") != old
    of_function = fingerprint("a.b", "KeyError", "a.py:1 b", qualname="b")
    assert fingerprint("a.b", "KeyError", "shop/c.py:9 c", qualname="c") == of_function


def test_class_exception_and_message_each_count() -> None:
    groups = {
        fingerprint("a.B", "KeyError", None, "'x'"),
        fingerprint("a.C", "KeyError", None, "'x'"),
        fingerprint("a.B", "ValueError", None, "'x'"),
        fingerprint("a.B", "KeyError", None, "'y'"),
    }
    assert len(groups) == 4
    assert {len(group) for group in groups} == {LENGTH}


def test_the_place_is_the_last_one_in_the_jobs_own_code() -> None:
    error = raised_in("/srv/app/shop/mail.py", through="/usr/lib/x/site-packages/smtp/client.py")
    assert own_frame(error) == "/srv/app/shop/mail.py:2 work"


def test_an_exception_that_met_none_of_the_jobs_code_has_no_place() -> None:
    assert own_frame(raised_in("/usr/lib/x/site-packages/a.py", through="<string>")) is None


def test_a_file_is_named_by_its_place_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend("/srv/app")
    assert own_frame(raised_in("/srv/app/shop/mail.py")) == "shop/mail.py:2 dig"


def test_the_database_makes_the_same_of_a_lost_worker(connection: Any) -> None:
    """rescue.sql has no exception at hand; it makes the fingerprint of the words."""
    made = connection.execute(
        "SELECT left(md5(concat_ws(chr(10), %s::text, 'WorkerLost', '', '')), 12)", ["shop.jobs.Work"]
    ).fetchone()
    assert made == (fingerprint("shop.jobs.Work", "WorkerLost"),)

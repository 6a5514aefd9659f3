"""Names to classes: what may be registered, where modules are found, and whose traceback is shown when not."""

import subprocess
import sys
from collections.abc import Iterator
from functools import wraps
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from jobq import Job
from jobq.application import find_job_modules, load_application
from jobq.errors import ApplicationError, RegistrationError, UnknownJobClass
from jobq.importing import import_module, resolve
from jobq.names import name_of, suggestion
from jobq.registration import add_class, register_job
from jobq.registry import Registry
from jobq.registry import registry as the_registry

JOB = """
from jobq import Job, register_job

@register_job
class {name}(Job):
    def run(self):
        return {value!r}
"""


def job_named(name: str, module: str = "shop.jobs") -> type[Job]:
    return type(name, (Job,), {"run": lambda self: None, "__module__": module, "__qualname__": name})


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.mark.parametrize(
    ("attributes", "complaint"),
    [
        ({"on_held": "queue"}, r"Work: on_held is 'queue', but must be one of 'skip', 'return', 'replace', "),
        ({"on_held": None}, r"on_held is None, but must be one of"),
        ({"on_held": ["skip"]}, r"on_held is \['skip'\], but must be one of"),
        ({"unique_until": "ended"}, r"unique_until is 'ended', but must be one of 'finished', 'started'"),
        ({"unique_for": "10m"}, r"unique_for is '10m', but must be seconds or a timedelta"),
        ({"unique_for": 0}, r"unique_for is 0, but must be"),
        ({"on_held": "debounce"}, r"on_held = 'debounce' needs a debounce_limit"),
        ({"debounce_limit": 5}, r"debounce_limit is for on_held = 'debounce', but on_held is 'skip'"),
        ({"on_held": "rerun", "unique_until": "started"}, r"a running job does not hold its key"),
        ({"on_held": "newest", "unique_until": "started"}, r"a running job does not hold its key"),
        ({"on_held": "debounce", "debounce_limit": 5, "unique_for": 5}, r"unique_for allows one job in that time"),
        ({"on_held": "rerun", "unique_for": 5}, r"unique_for allows one job in that time"),
    ],
)
def test_rules_for_a_held_key_that_make_no_sense_are_refused(
    registry: Registry, attributes: dict[str, Any], complaint: str
) -> None:
    job_class = job_named("Work")
    for name, value in attributes.items():
        setattr(job_class, name, value)
    with pytest.raises(RegistrationError, match=complaint):
        add_class(registry, job_class)
    assert registry.find("shop.jobs.Work") is None


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An application's folder; what is imported from it is forgotten afterwards."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(the_registry, "_classes", {})
    monkeypatch.setattr(the_registry, "_aliases", {})
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    for name in set(sys.modules) - before:
        if (file := getattr(sys.modules[name], "__file__", None)) is None or file.startswith(str(tmp_path)):
            del sys.modules[name]


def write(folder: Path, name: str, source: str) -> None:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(dedent(source).lstrip("\n"))


# What may be registered


def test_a_class_is_found_under_its_module_and_name(registry: Registry) -> None:
    send = job_named("Send")
    add_class(registry, send)
    assert registry.get("shop.jobs.Send") is send
    assert list(registry) == [("shop.jobs.Send", send)]
    assert len(registry) == 1


def test_a_class_is_found_under_its_aliases_too(registry: Registry) -> None:
    send = job_named("Send")
    add_class(registry, send, ["shop.jobs.Old", "shop.mail.Older"])
    assert registry.get("shop.jobs.Old") is registry.get("shop.mail.Older") is send
    assert registry.aliases_of("shop.jobs.Send") == ("shop.jobs.Old", "shop.mail.Older")
    assert len(registry) == 1, "an alias is no second class"


def test_a_renamed_class_answers_to_its_old_name(registry: Registry) -> None:
    """The whole of a rename: the old class is gone, the new one runs what was queued under its name."""
    add_class(registry, job_named("New"), ["shop.jobs.Old"])
    assert registry.get("shop.jobs.Old").__name__ == "New"


def test_a_module_that_is_imported_again_replaces_its_classes(registry: Registry) -> None:
    first, second = job_named("Send"), job_named("Send")
    add_class(registry, first, ["shop.jobs.Old"])
    add_class(registry, second, ["shop.jobs.Old"])
    assert registry.get("shop.jobs.Send") is registry.get("shop.jobs.Old") is second


def test_an_alias_that_is_a_registered_class_is_refused(registry: Registry) -> None:
    add_class(registry, job_named("Send"))
    with pytest.raises(RegistrationError, match=r"'shop\.jobs\.Send' of shop\.jobs\.New is taken by shop\.jobs\.Send"):
        add_class(registry, job_named("New"), ["shop.jobs.Send"])


def test_an_alias_of_another_class_is_refused(registry: Registry) -> None:
    add_class(registry, job_named("First"), ["shop.jobs.Old"])
    with pytest.raises(RegistrationError, match=r"taken by shop\.jobs\.First"):
        add_class(registry, job_named("Second"), ["shop.jobs.Old"])
    assert registry.find("shop.jobs.Second") is None, "a refused class is not half registered"


def test_a_class_whose_name_is_an_alias_already_is_refused(registry: Registry) -> None:
    add_class(registry, job_named("New"), ["shop.jobs.Old"])
    with pytest.raises(RegistrationError, match=r"shop\.jobs\.Old is an alias of shop\.jobs\.New already"):
        add_class(registry, job_named("Old"))


@pytest.mark.parametrize("thing", [5, str, object()])
def test_what_is_no_job_is_refused(thing: Any, registry: Registry) -> None:
    with pytest.raises(RegistrationError, match="is no Job"):
        add_class(registry, thing)


def test_a_function_is_refused_and_named_what_it_needs(registry: Registry) -> None:
    with pytest.raises(RegistrationError, match=r"len is a function: decorate it with @job\."):
        add_class(registry, len)  # type: ignore[arg-type]


def test_a_run_with_parameters_is_refused(registry: Registry) -> None:
    class Pays(Job):
        def run(self, amount: int, *, currency: str, note: str = "") -> None:  # type: ignore[override]
            pass

    with pytest.raises(RegistrationError, match=r"Pays\.run\(\) requires amount, currency, but a worker calls run\(\)"):
        add_class(registry, Pays)


def test_a_run_that_can_be_called_without_arguments_is_registered(registry: Registry) -> None:
    def injected(run: Any) -> Any:
        @wraps(run)
        def called(self: Any) -> Any:
            return run(self, "a service")

        return called

    class Optional(Job):
        def run(self, amount: int = 1, *rest: int, **named: int) -> None:
            pass

    class Static(Job):
        @staticmethod
        def run() -> None:  # type: ignore[override]
            pass

    class ByClass(Job):
        @classmethod
        def run(cls) -> None:  # type: ignore[override]
            pass

    class Injected(Job):
        @injected
        def run(self, service: str) -> None:  # type: ignore[override]
            pass

    for job_class in (Optional, Static, ByClass, Injected):
        add_class(registry, job_class)
    assert len(registry) == 4


def test_a_class_without_run_is_refused(registry: Registry) -> None:
    class Empty(Job):
        pass

    with pytest.raises(RegistrationError, match=r"Empty has no run\(\)"):
        add_class(registry, Empty)


@pytest.mark.parametrize("alias", ["", "two\nlines", "nul\0", "x" * 251, 5, None])
def test_an_alias_that_is_no_name_is_refused(alias: Any, registry: Registry) -> None:
    with pytest.raises(RegistrationError, match="must be a name like"):
        add_class(registry, job_named("Send"), [alias])


def test_the_decorator_works_bare_and_with_one_alias_or_several(folder: Path) -> None:
    one, two, three = (job_named(name) for name in ("One", "Two", "Three"))
    assert register_job(one) is one
    assert register_job(alias="shop.jobs.Deux")(two) is two
    assert register_job(alias=["shop.jobs.Trois", "shop.jobs.Drei"])(three) is three
    assert the_registry.get("shop.jobs.Deux") is two
    assert the_registry.aliases_of("shop.jobs.Three") == ("shop.jobs.Trois", "shop.jobs.Drei")
    names = ("shop.jobs.Three", "shop.jobs.Trois", "shop.jobs.Drei", "shop.jobs.One", "shop.jobs.Four")
    assert [the_registry.stored_name(name) for name in names] == ["shop.jobs.Trois"] * 3 + ["shop.jobs.One", None]


def test_an_alias_given_without_its_name_is_explained() -> None:
    with pytest.raises(RegistrationError, match=r"@register_job\(alias='shop\.jobs\.Old'\)"):
        register_job("shop.jobs.Old")  # type: ignore[call-overload]


def test_a_name_that_is_unknown_suggests_what_is_near(registry: Registry) -> None:
    add_class(registry, job_named("SendReport"))
    add_class(registry, job_named("Clean"))
    with pytest.raises(UnknownJobClass, match=r"'shop\.jobs\.SendReprot'.*Did you mean shop\.jobs\.SendReport"):
        registry.get("shop.jobs.SendReprot")
    with pytest.raises(UnknownJobClass, match=r"Did you mean shop\.jobs\.Clean\?"):
        registry.get("a.quite.different.module.of.that.name.Clean")
    with pytest.raises(UnknownJobClass, match=r"Registered are: shop\.jobs\.Clean, shop\.jobs\.SendReport\."):
        registry.get("nothing.like.it.at.all.XYZ")


def test_without_any_class_it_says_how_to_register_one(registry: Registry) -> None:
    with pytest.raises(UnknownJobClass, match=r"@register_job in a jobs\.py, or name modules with --app"):
        registry.get("shop.jobs.Send")


# Where modules are found


def test_jobs_py_and_the_jobs_py_of_every_package_are_found(folder: Path) -> None:
    for name in ("jobs.py", "shop/jobs.py", "mail/jobs.py", "mail/other.py", "empty/views.py"):
        write(folder, name, "")
    for name in ("tests/jobs.py", "build/jobs.py", "not-a-name/jobs.py", "node_modules/jobs.py", ".venv/jobs.py"):
        write(folder, name, "raise AssertionError('not to be imported')")
    assert find_job_modules(folder) == ["jobs", "mail.jobs", "shop.jobs"]


def test_the_jobs_py_of_a_package_in_a_package_is_found(folder: Path) -> None:
    """The outer one must have an `__init__.py`: a folder without one may hold anything."""
    for name in ("site/__init__.py", "site/jobs.py", "site/shop/jobs.py", "site/tests/jobs.py", "site/a/b/jobs.py"):
        write(folder, name, "")
    for name in ("backend/shop/jobs.py", "venv/shop/jobs.py"):
        write(folder, name, "raise AssertionError('not to be imported')")
    assert find_job_modules(folder) == ["site.jobs", "site.shop.jobs"]


def test_a_name_by_a_longer_or_shorter_path_suggests_the_class_that_is_known() -> None:
    known = ["shop.jobs.Pay", "shop.jobs.Ship", "mail.jobs.Pay"]
    assert suggestion("src.shop.jobs.Pay", known) == "Did you mean shop.jobs.Pay?"
    assert suggestion("jobs.Ship", known) == "Did you mean shop.jobs.Ship?"
    assert suggestion("crm.contacts.Merge", known) == ""


def test_a_folder_that_is_not_there_has_no_modules(folder: Path) -> None:
    assert find_job_modules(folder / "nowhere") == []


def test_an_application_is_imported_from_its_folder(folder: Path) -> None:
    write(folder, "jobs.py", JOB.format(name="Top", value=1))
    write(folder, "shop_a/jobs.py", JOB.format(name="Sell", value=2))
    assert load_application(folder) == ["jobs", "shop_a.jobs"]
    assert [name for name, _ in the_registry] == ["jobs.Top", "shop_a.jobs.Sell"]
    assert sys.path[0] == str(folder)


def test_an_application_in_src_is_found_under_its_installed_name(folder: Path) -> None:
    write(folder, "src/shop_b/__init__.py", "")
    write(folder, "src/shop_b/jobs.py", JOB.format(name="Sell", value=1))
    assert load_application(folder) == ["shop_b.jobs"]
    assert the_registry.find("shop_b.jobs.Sell") is not None


def test_modules_that_are_named_are_imported_besides_and_first(folder: Path) -> None:
    write(folder, "jobs.py", JOB.format(name="Top", value=1))
    write(folder, "shop_c/work.py", JOB.format(name="Work", value=1))
    assert load_application(folder, ["shop_c.work", "jobs"]) == ["shop_c.work", "jobs"]


def test_the_path_is_not_grown_twice(folder: Path) -> None:
    load_application(folder)
    before = list(sys.path)
    load_application(folder)
    assert sys.path == before


# Modules that do not import


def test_a_module_that_is_not_there_is_named_without_a_traceback(folder: Path) -> None:
    for missing in ("shop_d.jobs", "shop_d", "json.jobs", "shop_d.jobs:app"):
        with pytest.raises(ApplicationError, match=f"There is no module '{missing}'") as caught:
            import_module(missing)
        assert caught.value.user_traceback == ""


def test_a_module_that_misses_another_shows_where(folder: Path) -> None:
    write(folder, "shop_e/jobs.py", "import no_such_module")
    with pytest.raises(
        ApplicationError, match=r"'shop_e\.jobs' does not import: ModuleNotFoundError.*no_such_module"
    ) as caught:
        load_application(folder)
    assert "import no_such_module" in caught.value.user_traceback
    assert f'{folder}/shop_e/jobs.py", line 1' in caught.value.user_traceback


def test_the_users_traceback_is_theirs_alone(folder: Path) -> None:
    write(
        folder,
        "shop_f/jobs.py",
        """
        from shop_f import helper

        helper.prepare()
        """,
    )
    write(
        folder,
        "shop_f/helper.py",
        """
        def prepare():
            raise RuntimeError("no paint")
        """,
    )
    with pytest.raises(ApplicationError, match=r"'shop_f\.jobs' does not import: RuntimeError: no paint$") as caught:
        load_application(folder)
    shown = caught.value.user_traceback
    files = [line.split('"')[1] for line in shown.splitlines() if line.startswith("  File ")]
    assert files == [f"{folder}/shop_f/jobs.py", f"{folder}/shop_f/helper.py"]
    assert "importlib" not in shown
    assert shown.rstrip().endswith("RuntimeError: no paint")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__, "nobody prints the same again"


def test_the_cause_of_a_failed_import_is_shown_too(folder: Path) -> None:
    write(
        folder,
        "shop_g/jobs.py",
        """
        try:
            import no_such_module
        except ImportError as error:
            raise RuntimeError("install the colours") from error
        """,
    )
    with pytest.raises(ApplicationError) as caught:
        load_application(folder)
    shown = caught.value.user_traceback
    assert "no_such_module" in shown
    assert "direct cause" in shown
    assert "importlib" not in shown


def test_a_syntax_error_shows_its_line(folder: Path) -> None:
    write(folder, "jobs.py", "def broken(:\n    pass")
    with pytest.raises(ApplicationError, match="SyntaxError") as caught:
        load_application(folder)
    assert "def broken(:" in caught.value.user_traceback
    assert f"{folder}/jobs.py" in caught.value.user_traceback


@pytest.mark.parametrize(
    "act", ["import sys; sys.exit(3)", "raise Exception", "class E(BaseException): ...\nraise Exception('x')"]
)
def test_a_module_cannot_end_the_process_that_imports_it(act: str, folder: Path) -> None:
    write(folder, "jobs.py", act)
    with pytest.raises(ApplicationError, match="'jobs' does not import"):
        load_application(folder)


def test_a_registration_that_is_refused_shows_the_users_line_and_none_of_ours(folder: Path) -> None:
    write(
        folder,
        "jobs.py",
        """
        from jobq import Job, register_job

        @register_job
        class Empty(Job):
            pass
        """,
    )
    with pytest.raises(ApplicationError, match=r"RegistrationError: jobs\.Empty has no run") as caught:
        load_application(folder)
    files = {line.split('"')[1] for line in caught.value.user_traceback.splitlines() if line.startswith("  File ")}
    assert files == {f"{folder}/jobs.py"}


# What a person named


def test_a_class_in_a_module_that_nobody_imported_is_found_by_name(folder: Path) -> None:
    load_application(folder)
    write(folder, "shop_h/work.py", JOB.format(name="Work", value=1))
    assert resolve("shop_h.work.Work").__name__ == "Work"


def test_a_name_whose_module_is_missing_is_an_unknown_class(folder: Path) -> None:
    with pytest.raises(UnknownJobClass, match=r"no_such_shop\.jobs\.Send"):
        resolve("no_such_shop.jobs.Send")
    with pytest.raises(UnknownJobClass, match="Send"):
        resolve("Send")


def test_a_name_whose_module_fails_shows_the_users_traceback(folder: Path) -> None:
    load_application(folder)
    write(folder, "shop_i/work.py", "1 / 0")
    with pytest.raises(ApplicationError, match="ZeroDivisionError"):
        resolve("shop_i.work.Work")


def test_looking_up_a_name_never_imports(folder: Path) -> None:
    load_application(folder)
    write(folder, "shop_j.py", "raise AssertionError('imported')")
    assert the_registry.find("shop_j.Work") is None
    with pytest.raises(UnknownJobClass):
        the_registry.get("shop_j.Work")


# The program that is running


PROGRAM = JOB.format(name="Here", value=1) + "\nfrom jobq.registry import name_of\nprint(name_of(Here))\n"


@pytest.mark.parametrize(
    ("file", "arguments", "name"),
    [
        ("jobs.py", ["jobs.py"], "jobs.Here"),
        ("shop/jobs.py", ["shop/jobs.py"], "shop.jobs.Here"),
        ("shop/jobs.py", ["-m", "shop.jobs"], "shop.jobs.Here"),
        ("shop/__main__.py", ["-m", "shop"], "shop.__main__.Here"),
        ("shop/__main__.py", ["shop/__main__.py"], "shop.__main__.Here"),
        ("src/shop/jobs.py", ["src/shop/jobs.py"], "shop.jobs.Here"),
    ],
)
def test_a_class_of_the_running_program_has_the_name_by_which_a_worker_imports_it(
    file: str, arguments: list[str], name: str, tmp_path: Path
) -> None:
    write(tmp_path, "pyproject.toml", "")
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout.strip(), done.stderr) == (name, "")


def test_a_class_of_an_interactive_session_is_its_own(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "__main__.Here"


def test_a_nested_class_has_its_whole_name() -> None:
    class Inner(Job):
        def run(self) -> None:
            pass

    assert name_of(Inner).endswith("test_a_nested_class_has_its_whole_name.<locals>.Inner")

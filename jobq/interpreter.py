"""Commands that run Python so that the new process finds the same modules as this one.

If jobq comes from a zipapp, or the program has added to `sys.path`, a new interpreter would find neither jobq nor the
application. So a variable passes `sys.path` on, and is removed before anything else runs there.
"""

import json
import os
import sys
from types import ModuleType

from jobq.errors import ConfigurationError

VARIABLE = "JOBQ_IMPORT_PATH"

BOOT = (
    f"import json, os, runpy, sys; sys.path[:] = json.loads(os.environ.pop({VARIABLE!r})); del sys.argv[0]; "
    "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)


def run_module(name: str, *arguments: str) -> list[str]:
    """The command that runs a module as `python -m` does; it needs the variables of `environment`.

    Raises ConfigurationError if this program has no interpreter that could run it.
    """
    require()
    return [sys.executable, "-P", "-c", BOOT, name, *arguments]


def run_alone(module: ModuleType, *arguments: str) -> list[str]:
    """The command that runs one of jobq's modules that needs only the standard library."""
    assert module.__file__ is not None
    if os.path.isfile(module.__file__):
        return [sys.executable, "-I", "-S", module.__file__, *arguments]
    loader = module.__spec__.loader if module.__spec__ is not None else None
    source: str = loader.get_source(module.__name__)  # type: ignore[union-attr]  # it is in an archive
    return [sys.executable, "-I", "-S", "-c", source, *arguments]


def environment() -> dict[str, str]:
    return {VARIABLE: json.dumps([os.path.abspath(entry) for entry in sys.path if isinstance(entry, str)])}


def require() -> None:
    """Raises ConfigurationError if `sys.executable` is not a Python that can run other modules."""
    if getattr(sys, "frozen", False) or not sys.executable:
        program = sys.executable or "this program"
        raise ConfigurationError(
            f"{program} is a program with a Python inside (sys.frozen), and no interpreter with which a worker could "
            "start its processes. Run the worker with an installed Python; a zipapp, as of shiv or pex, works too."
        )

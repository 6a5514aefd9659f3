"""The name of a class of the application, as it is stored: where a worker will find it."""

import sys
from pathlib import Path


def name_of(job_class: type) -> str:
    """The name under which jobs of a class are stored: `module.Class`."""
    module = job_class.__module__
    if module == "__main__":
        module = name_of_main()
    return f"{module}.{job_class.__qualname__}"


def name_of_main() -> str:
    """The name by which a worker will import the program that is running as `__main__`."""
    main = sys.modules["__main__"]
    if (spec := getattr(main, "__spec__", None)) is not None:
        return str(spec.name)
    if (file := getattr(main, "__file__", None)) is None:
        return "__main__"  # an interactive session: no worker can import it
    path = Path(file).resolve().with_suffix("")
    from jobq.settings import find_pyproject

    pyproject = find_pyproject(path.parent)
    roots = [pyproject.parent / "src", pyproject.parent] if pyproject else [path.parent]
    for root in roots:
        if path.is_relative_to(root):
            return ".".join(path.relative_to(root).parts)
    return path.name

"""A short-lived process that imports a Django project's settings and reports which database they name.

`jobq.found_database` starts it for processes that must not import the user's code themselves.
"""

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from jobq import addresses, found_database
from jobq.projects import put_on_import_path


def main(answer_fd: int, folders: list[str]) -> None:
    os.set_inheritable(answer_fd, False)  # processes that the settings start must not keep it open
    answer = json.dumps(answer_of([Path(folder) for folder in folders]))
    with os.fdopen(answer_fd, "w", encoding="utf-8") as pipe:
        pipe.write(f"{answer}\n")


def answer_of(folders: list[Path]) -> dict[str, Any]:
    try:
        for folder in folders:
            put_on_import_path(folder)
        import_module("django.conf").settings.is_overridden("DATABASES")  # the settings are imported on first use
        found = found_database.of_this_process()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the edge around the user's settings
        return {"error": f"{type(error).__name__}: {addresses.redacted(' '.join(str(error).split()))}"}
    assert found is not None
    return {"url": found.url, "source": found.source, "notes": found.notes}


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])

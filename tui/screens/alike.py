"""What the jobs of a group of failures have in common."""

from collections.abc import Mapping, Sequence
from typing import Any

from .. import formats


def alike(arguments: Sequence[Mapping[str, Any]]) -> str:
    """The arguments in which the jobs differ, and those that they share. Empty for a single job."""
    if len(arguments) < 2:
        return ""
    names = list(dict.fromkeys(name for one in arguments for name in one))
    values = {name: {formats.compact(one[name], 80) if name in one else "" for one in arguments} for name in names}
    same = ", ".join(f"{name}={next(iter(found))}" for name, found in values.items() if len(found) == 1)
    other = ", ".join(name for name, found in values.items() if len(found) > 1)
    parts = [f"differ in {other}" if other else "", f"have the same {same}" if same else ""]
    told = " and ".join(part for part in parts if part)
    return f"the last {len(arguments)}: their arguments {told}" if told else ""

"""What jobq and its tests ask for, and what is installed, held against the advisories that are known here.

A short list kept by hand, since an audit service cannot be asked offline: an entry is added when an advisory is read.
With a network, `pip-audit` knows more.
"""

import re
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

FIXED = {
    # package: (the first version without it, the advisory)
    "aiohttp": ("3.13.3", "CVE-2025-69223: a compressed request that takes all memory"),
    "django": ("5.2.8", "CVE-2025-64459: SQL injection through _connector"),
    "h11": ("0.16.0", "GHSA-vqfr-h8mv-ghfj: chunked bodies taken too leniently"),
    "jinja2": ("3.1.6", "GHSA-cpwx-vrp4-4pq7: a way out of the sandbox through |attr"),
    "pytest": ("9.0", "GHSA-6w46-j5rx-g56g: a folder in /tmp that others can foresee"),
    "setuptools": ("78.1.1", "GHSA-5rjg-fvgr-3xxf: path traversal in PackageIndex"),
    "sqlparse": ("0.5.0", "GHSA-2m57-hf25-phgg: recursion without end"),
    "starlette": ("0.49.1", "GHSA-7f5h-v6xp-fcq8: a Range header that takes quadratic time"),
}

ACCEPTED = {
    "pytest": "for tests only, and pytest-textual-snapshot wants syrupy 4, which wants pytest 8",
    "setuptools": "it builds the package from this checkout; PackageIndex (easy_install) is not used",
}
"""Why one is lived with all the same."""


@pytest.mark.parametrize("package", FIXED)
def test_no_version_with_a_known_hole_is_installed(package: str) -> None:
    fixed, advisory = FIXED[package]
    try:
        installed = metadata.version(package)
    except metadata.PackageNotFoundError:
        return
    assert numbers(installed) >= numbers(fixed) or package in ACCEPTED, f"{package} {installed} has {advisory}"


def test_no_requirement_is_met_by_a_version_with_a_known_hole() -> None:
    asked = dict(requirements())
    assert {"psycopg", "aiohttp", "setuptools", "django"} <= asked.keys()
    for package, least in asked.items():
        fixed, advisory = FIXED.get(package, ("0", ""))
        assert numbers(least) >= numbers(fixed) or package in ACCEPTED, f"{package} {least} is asked for: {advisory}"


def requirements() -> Iterator[tuple[str, str]]:
    """The packages that are asked for, each with the least version that will do; without one, any will do."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    optional = project["project"]["optional-dependencies"]
    for asked in (project["build-system"]["requires"], project["project"]["dependencies"], *optional.values()):
        for requirement in asked:
            name, least = re.fullmatch(r"([\w.-]+)(?:\[[\w,]+\])?(?:[>=]=([\w.]+))?.*", requirement).groups()
            yield name.lower(), least or "0"


def test_what_is_accepted_is_on_the_list() -> None:
    assert ACCEPTED.keys() <= FIXED.keys()


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())

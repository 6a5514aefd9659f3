"""Where the accepted pictures of the console are."""

import os
from pathlib import Path
from typing import Any

import pytest
import pytest_textual_snapshot

ROOT = Path(__file__).resolve().parents[2]


class TopLevelSVG(pytest_textual_snapshot.SVGImageExtension):
    """Accepted pictures are in snapshots/, in a folder for each module of tests."""

    @classmethod
    def dirname(cls, *, test_location: Any) -> str:
        test = Path(test_location.filepath).resolve()
        target = ROOT / "snapshots" / test.relative_to(ROOT / "tests").with_suffix("")
        # Left with its "..": syrupy decides by the test's folder in this text whether a run of one test may call the
        # pictures of the others unused, and would else delete them.
        return os.path.join(test.parent, os.path.relpath(target, test.parent))


@pytest.fixture
def picture(snapshot: Any) -> Any:
    """What a screen is compared with; `pytest --snapshot-update` accepts what is there."""
    return snapshot.use_extension(TopLevelSVG)

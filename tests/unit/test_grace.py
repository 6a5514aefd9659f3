"""How long a worker lets jobs go on where no setting says it: less than the platform's time until it kills."""

from pathlib import Path

import pytest

from jobq.grace import PLATFORMS, Platform, grace_on, platform_at_hand, shutdown_grace
from jobq.settings import Settings

each = pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform.name)


@each
def test_a_platform_is_known_by_what_it_gives_to_all_that_it_runs(platform: Platform, tmp_path: Path) -> None:
    for variable in platform.variables:
        assert platform_at_hand({variable: "x"}, tmp_path) is platform
        assert platform_at_hand({variable: ""}, tmp_path) is None
    for file in platform.files:
        path = tmp_path / file.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        assert platform_at_hand({}, tmp_path) is platform


@each
def test_the_grace_ends_before_the_platform_kills_and_leaves_time_to_record(platform: Platform) -> None:
    assert 0 < grace_on(platform) <= platform.seconds - 2


def test_where_no_platform_kills_the_grace_is_half_a_minute() -> None:
    assert grace_on(None) == 30


def test_a_setting_counts_whatever_the_platform_is() -> None:
    assert shutdown_grace(Settings(shutdown_grace=120.0)) == 120.0
    assert shutdown_grace(Settings(shutdown_grace=0.0)) == 0.0

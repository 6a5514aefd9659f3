"""How long running jobs may continue after a stop, by default: less than the platform's time until it kills.

The platform's setting cannot be read inside it: neither `terminationGracePeriodSeconds` nor `docker stop --time` nor
`TimeoutStopSec` reaches the process. So the platforms' own defaults count.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jobq.settings import Settings


@dataclass(frozen=True, slots=True)
class Platform:
    name: str
    seconds: float  # from its signal to its kill, by default
    variables: tuple[str, ...] = ()
    """A variable in the environment of everything that it runs."""
    files: tuple[str, ...] = ()
    """A path in the file system of everything that it runs."""


PLATFORMS = (
    Platform("Kubernetes", 30, ("KUBERNETES_SERVICE_HOST",)),
    Platform("Amazon ECS", 30, ("ECS_CONTAINER_METADATA_URI_V4", "ECS_CONTAINER_METADATA_URI")),
    Platform("Heroku", 30, ("DYNO",)),
    Platform("Cloud Run", 10, ("K_SERVICE", "CLOUD_RUN_JOB")),
    Platform("Fly.io", 5, ("FLY_MACHINE_ID",)),
    Platform("Nomad", 5, ("NOMAD_ALLOC_ID",)),
    Platform("systemd", 90, ("INVOCATION_ID",)),
    Platform("supervisord", 10, ("SUPERVISOR_ENABLED",)),
    Platform("Docker", 10, files=("/.dockerenv",)),
    Platform("Podman", 10, files=("/run/.containerenv",)),
)
"""The first match counts: containers run in clusters, too."""

MAX_SECONDS = 30.0
"""The grace on a platform that never kills, or only later."""

LEAVE_SECONDS = 2.0
"""Seconds for a worker after the grace: to cut off the jobs that still run, and to record that."""

LEAVE_SHARE = 6
"""… or a sixth of the platform's time, if that is more."""


def platform_at_hand(environment: Mapping[str, str] = os.environ, root: Path = Path("/")) -> Platform | None:
    for platform in PLATFORMS:
        if any(environment.get(name) for name in platform.variables):
            return platform
        if any((root / file.lstrip("/")).exists() for file in platform.files):
            return platform
    return None


def grace_on(platform: Platform | None) -> float:
    if platform is None:
        return MAX_SECONDS
    return min(MAX_SECONDS, platform.seconds - max(LEAVE_SECONDS, platform.seconds / LEAVE_SHARE))


def shutdown_grace(settings: Settings) -> float:
    """The grace of this worker, in seconds."""
    return grace_on(platform_at_hand()) if settings.shutdown_grace is None else settings.shutdown_grace

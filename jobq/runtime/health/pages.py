"""The answer of each path of `jobq run --health`."""

from jobq.runtime.health.condition import Condition
from jobq.runtime.health.exposition import INSTALL, Exposition
from jobq.runtime.health.server import Answer, Page

PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8"


def pages(condition: Condition, exposition: Exposition) -> dict[str, Page]:
    return {
        "/livez": lambda: verdict(condition.why_not_live(), "alive"),
        "/readyz": lambda: verdict(condition.why_not_ready(), "ready"),
        "/metrics": lambda: metrics(exposition),
    }


def verdict(why_not: str | None, word: str) -> Answer:
    return Answer(200, f"{word}\n") if why_not is None else Answer(503, f"{why_not}\n")


def metrics(exposition: Exposition) -> Answer:
    try:
        return Answer(200, exposition.text(), PROMETHEUS_TEXT)
    except ImportError:
        return Answer(501, INSTALL)

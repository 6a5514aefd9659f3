"""Keys that come all at once: at random, and what must hold whatever they are.

    python -m tests.tui.bursts [--keys 10000] [--seed 1]

No act that asks first is done by keys which were sent before its question was shown; and after each burst the console
comes to rest, and still answers.
"""

import argparse
import asyncio
import os
import random
import sys
import unicodedata
from pathlib import Path
from typing import Any

os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
sys.path.insert(0, str(Path(__file__).parent))  # as pytest does for the tests beside this

from canned import CannedSource, trouble
from driving import is_at_rest, opened, press, run
from jobq.tui.actions import Tier, acts
from jobq.tui.screens.base import ConsoleScreen
from jobq.tui.screens.confirm import Confirm
from jobq.tui.screens.help import Help
from jobq.tui.source import NamedReport
from textual.events import Key
from textual.keys import REPLACED_KEYS, _get_unicode_name_from_key

KEYS = [
    *"123456789", *"abcdefghijklmnoprstuvwxyz", *"DGVR",
    "enter", "enter", "escape", "escape", "tab", "shift+tab", "space", "up", "down", "left", "right", "backspace",
    "slash", "colon", "question_mark", "asterisk", "full_stop", "left_square_bracket", "right_square_bracket",
    "left_curly_bracket", "right_curly_bracket", "pagedown", "end", "home", "ctrl+s", "ctrl+p", "ctrl+r", "ctrl+d",
    "y", "y", "n",
]  # fmt: skip
"""All but those that quit, and the one that opens an editor."""

LONGEST = 60


class WatchedSource(CannedSource):
    """Knows which acts have to be asked for first: a verb and a number of jobs each."""

    def __init__(self) -> None:
        super().__init__(trouble())
        self.asked: list[str] = []  # acts that needed a yes

    def act(self, verb: str, selected: Any, progress: Any, selection: str | None) -> Any:
        ids = selected.ids
        act = next(act for act in acts() if act.verb == verb)
        if act.tier(len(ids), is_production=self.target.is_production) is not Tier.NONE:
            self.asked.append(f"{verb} {len(ids)}")
        return super().act(verb, selected, progress, selection)

    def act_on_workers(self, verb: str, numbers: Any) -> NamedReport:
        self.asked.append(f"{verb} workers")
        return super().act_on_workers(verb, numbers)

    def act_on_schedules(self, verb: str, names: Any) -> NamedReport:
        if verb == "run":
            self.asked.append("run schedules")
        return super().act_on_schedules(verb, names)


def send(console: Any, *names: str) -> None:
    """Sends keys as a terminal does that got them in one write: the last has come before the first is handled."""
    for name in names:
        key = Key(name, character_of(name))
        key.set_sender(console)
        console._driver.send_message(key)


def character_of(name: str) -> str | None:
    if len(name) == 1:
        return name
    try:
        return unicodedata.lookup(_get_unicode_name_from_key(REPLACED_KEYS.get(name, name)))
    except KeyError:
        return None


async def burst(pilot: Any, *names: str) -> None:
    """Sends them, and waits until the console has done with them: without the pictures that `settle` compares."""
    send(pilot.app, *names)
    for _ in range(2):
        await pilot.pause(0.002)
        while not is_at_rest(pilot.app):
            assert not pilot.app.return_code, "the console has ended with an error"
            await asyncio.sleep(0.002)


async def play(number: int, seed: int) -> WatchedSource:
    """Sends that many keys in bursts, and looks after each."""
    chance = random.Random(seed)
    source = WatchedSource()
    left = number
    while left > 0:
        async with opened(source) as pilot:
            for _ in range(40):
                keys = chance.choices(KEYS, k=min(left, chance.randint(1, LONGEST)))
                await check(pilot, source, keys, f"seed {seed}, {left} keys before the end: {keys}")
                left -= len(keys)
                if left <= 0:
                    break
            await answer(pilot)
    return source


async def check(pilot: Any, source: WatchedSource, keys: list[str], where: str) -> None:
    may_be_answered = any(isinstance(screen, Confirm) for screen in pilot.app.screen_stack)
    source.asked.clear()
    await burst(pilot, *keys)
    assert may_be_answered or not source.asked, f"{source.asked} were done unasked. {where}"
    assert len(source.asked) <= 1, f"{source.asked} for one question. {where}"


async def answer(pilot: Any) -> None:
    """Leads out of whatever is open, and to the help."""
    for _ in range(8):
        if isinstance(pilot.app.screen, ConsoleScreen):
            break
        await press(pilot, "escape")
    await press(pilot, "escape", "1", "question_mark")
    assert isinstance(pilot.app.screen, Help), f"no answer to ?: {pilot.app.screen}"
    await press(pilot, "escape")
    assert isinstance(pilot.app.screen, ConsoleScreen)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=10_000, help="keys")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    run(lambda: play(options.keys, options.seed))
    print(f"{options.keys:,} keys, seed {options.seed}: no act without its confirmation, and the console answers")
    return 0


if __name__ == "__main__":
    sys.exit(main())

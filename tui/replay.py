"""The source that answers from a recording, at its own pace or step by step."""

import json
import os
import threading
from bisect import bisect_right
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any, NoReturn

from jobq.clean import line as clean_line
from jobq.errors import DatabaseUnreachable, UsageError

from . import search
from .access import Access, Target
from .cleaning import cleaned
from .codec import Kind, Misfit
from .known_values import KnownValues
from .recording import NotRecorded, header_of, key_of, origin_of
from .recording_format import FORMAT, QUESTIONS, SNAPSHOT, TARGET
from .source import Query, Snapshot, View

SPEEDS = (1, 2, 5, 20, 60)

LONGEST_GAP = 60.0
"""A gap longer than this many seconds, as between two recordings in one file, is skipped."""

HAIR = 0.0005
"""In seconds; times are written in milliseconds."""

WHY_NOT = "this is a recording: what it shows is over"


class Replay:
    """One recording, and the position in it. The feed's threads ask it; keys move it."""

    def __init__(self, path: Path, clock: Callable[[], float] = monotonic) -> None:
        """Reads the whole file once. Raises UsageError if it is not a recording that can be shown."""
        self._path = path
        self._known = KnownValues()
        self._clock = clock
        self._lock = threading.Lock()
        self._looks: list[tuple[float, dict[str, int]]] = []  # for each look, the lines that hold its parts
        self._answers: dict[str, list[tuple[float, int]]] = {}
        self._lines: list[tuple[int, int]] = []  # the place of each line in the file
        try:
            self._descriptor = os.open(path, os.O_RDONLY)
            header = self._read_all()
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
        self.target: Target = self._read(TARGET, header.get("target"), 1)
        self.access = Access(self.target)
        self.abilities = frozenset({*header.get("abilities", ()), "replay"})
        self.is_paused = False
        self.speed = SPEEDS[0]
        self._is_at_look = False  # a step moved here: that exact moment is shown
        self._position = self._end_of(0)
        self._moved_at = clock()
        with suppress(DatabaseUnreachable):  # a recording may start so
            self.look(0.0)

    # Position

    @property
    def badge(self) -> str:
        began, ends = self._looks[0][0], self._looks[-1][0]
        return f"REPLAY {span(self.position - began)} of {span(ends - began)}"

    @property
    def position(self) -> float:
        """Seconds since 1970, as recorded. It advances unless it is paused, or at the end."""
        with self._lock:
            now = self._clock()
            if not self.is_paused:
                self._position += (now - self._moved_at) * self.speed
                self._position = min(self._position, self._end_of(len(self._looks) - 1))
            self._moved_at = now
            self._leap()
            return self._position

    @property
    def is_over(self) -> bool:
        return self.position >= self._looks[-1][0]

    @property
    def age(self) -> float:
        """Seconds from the shown look to the position."""
        position = self.position
        return 0.0 if self._is_at_look else max(0.0, position - self._looks[self._place(position)][0])

    def toggle(self) -> None:
        """Pauses or continues. At the end, starts again."""
        if self.is_over and not self.is_paused:
            self.seek(self._looks[0][0] - self.position)
            return
        _ = self.position  # the time until now has passed at the old speed
        self.is_paused = not self.is_paused
        self._is_at_look = False

    def faster(self) -> None:
        _ = self.position
        self.speed = SPEEDS[(SPEEDS.index(self.speed) + 1) % len(SPEEDS)]
        self.is_paused = self._is_at_look = False

    def step(self, looks: int) -> None:
        """Moves to the previous or next look, with all answers until the one after it, and pauses."""
        place = min(max(self._place(self.position) + looks, 0), len(self._looks) - 1)
        with self._lock:
            self.is_paused = self._is_at_look = True
            self._position = self._end_of(place)

    def seek(self, seconds: float) -> None:
        """Moves back or forward by this time."""
        position = self.position
        with self._lock:
            self._is_at_look = False
            lowest, highest = self._end_of(0), self._end_of(len(self._looks) - 1)
            self._position = min(max(position + seconds, lowest), highest)

    def _place(self, position: float) -> int:
        """The look that is shown at this time."""
        return max(0, bisect_right(self._looks, position, key=lambda look: look[0]) - 1)

    def _end_of(self, place: int) -> float:
        """The time until which a look is shown."""
        at = self._looks[place][0]
        if place + 1 == len(self._looks):
            return max(at, *(times[-1][0] for times in self._answers.values()), at)
        return max(at, min(self._looks[place + 1][0] - HAIR, at + LONGEST_GAP))

    def _leap(self) -> None:
        """Skips a gap without looks."""
        place = self._place(self._position)
        is_gap = place + 1 < len(self._looks) and self._position >= self._looks[place][0] + LONGEST_GAP
        if is_gap and not self.is_paused:
            self._position = self._looks[place + 1][0]

    # Questions of the console

    def look(self, seconds: float) -> Snapshot:
        _, parts = self._looks[self._place(self.position)]
        if "error" in parts:
            raise DatabaseUnreachable(clean_line(str(self._line(parts["error"])["error"])))
        value = {name: self._line(number)["answer"][name] for name, number in parts.items()}
        snapshot: Snapshot = self._read(SNAPSHOT, value, max(parts.values()) + 1)
        return snapshot

    def query(self, view: View, text: str) -> Query:
        return search.query(view, text)

    def stored_name(self, job_class: str) -> str:
        return job_class

    def suggestions(self, text: str) -> list[str]:
        return search.suggestions(text, self._known)

    def learn(self, job_class: str) -> None:
        """Nothing is known beyond what was recorded."""

    def migrate(self) -> None:
        self._refuse()

    def reset(self) -> None:
        """There is nothing to forget."""

    def __getattr__(self, name: str) -> Any:
        """Every other question: its last answer before the position."""
        if name.startswith("_"):
            raise AttributeError(name)
        question = QUESTIONS.get(name)
        if question is None:
            return self._refuse

        def ask(*arguments: Any, **options: Any) -> Any:
            times = self._answers.get(key_of(name, question.about_what(arguments, options)), [])
            place = bisect_right(times, self.position, key=lambda answer: answer[0]) - 1
            if place < 0:
                when = "so far in this recording" if times else "while this was recorded"
                raise NotRecorded(f"nobody looked at this {when}")
            number = times[place][1]
            return self._read(question.answer, self._line(number)["answer"], number + 1)

        return ask

    def _refuse(self, *_arguments: Any, **_options: Any) -> NoReturn:
        raise UsageError(f"Nothing can be done here: {WHY_NOT}.")

    # The file

    def _read_all(self) -> dict[str, Any]:
        """Reads the file once to index it. Returns its first line."""
        headers: list[dict[str, Any]] = []
        parts: dict[str, int] = {}
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            place = 0
            for number, text in enumerate(file, 1):
                self._lines.append((place, len(text)))
                place += len(text)
                if number == 1 and header_of(text) is None:
                    raise UsageError(
                        f"{self._path} is not a recording of the console. To make one: jobq tui --record FILE"
                    )
                if not text.endswith(b"\n"):  # its writer was killed in the middle
                    break
                parts = self._take(self._parsed(text, number), number, parts, headers)
        if not headers:
            raise UsageError(f"{self._path} is empty: jobq tui --record FILE makes a recording.")
        if not self._looks:
            raise UsageError(f"{self._path} has nothing to show: the recording ended before the first look.")
        return headers[0]

    def _parsed(self, text: bytes, number: int) -> dict[str, Any]:
        try:
            line = json.loads(text)
        except ValueError:
            raise self._broken(number, "it is not JSON") from None
        if not isinstance(line, dict) or not isinstance(line.get("at"), int | float):
            raise self._broken(number, "it has no time")
        return line

    def _take(
        self, line: dict[str, Any], number: int, parts: dict[str, int], headers: list[dict[str, Any]]
    ) -> dict[str, int]:
        """Notes the place of a line's answer. Returns the places of the parts of the last look."""
        if "jobq" in line:
            if line.get("format") != FORMAT:
                raise UsageError(f"{self._path} was recorded {origin_of(line)}; this version shows format {FORMAT}.")
            headers.append(line)
            return {}
        ask, about = line.get("ask"), line.get("with", {})
        if not isinstance(ask, str) or not isinstance(about, dict) or not ("answer" in line or "error" in line):
            raise self._broken(number, "it is not an answer")
        if ask != "look":
            self._answers.setdefault(key_of(ask, about), []).append((line["at"], number - 1))
            return parts
        if "error" in line:
            self._looks.append((line["at"], {"error": number - 1}))
            return parts
        if not isinstance(line["answer"], dict):
            raise self._broken(number, "it is not a look")
        parts = parts | dict.fromkeys(line["answer"], number - 1)
        if not parts.keys() >= {part.name for part in SNAPSHOT.fields if part.is_required}:
            raise self._broken(number, "the look before it is missing")
        self._looks.append((line["at"], parts))
        return parts

    def _line(self, number: int) -> dict[str, Any]:
        place, length = self._lines[number]
        line: dict[str, Any] = json.loads(os.pread(self._descriptor, length, place))
        return line

    def _read(self, kind: Kind, value: Any, number: int) -> Any:
        """A value of the file. Anybody may have written it, so it is cleaned again."""
        try:
            return cleaned(kind.read(value), is_cut=False)
        except Misfit as error:
            raise self._broken(number, str(error)) from None

    def _broken(self, number: int, problem: str) -> UsageError:
        return UsageError(f"{self._path}, line {number}: {problem}. It is damaged, or of another version of jobq.")


def span(seconds: float) -> str:
    """As 4:05, or 1:04:05."""
    minutes, rest = divmod(max(0, int(seconds + 0.5)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

"""Makes the interpreter's dump of its threads' stacks readable: as a traceback, without jobq's own frames."""

import re
from pathlib import Path

OWN_FOLDER = str(Path(__file__).parent) + "/"
FUNCTIONS = str(Path(__file__).parents[1] / "functions.py")

FRAME = re.compile(r'^  File "(?P<file>.*)", line (?P<line>\d+|\?\?\?) in (?P<function>.*)$')
TASK = "Coroutine"
"""Starts the lines of one coroutine, like the first line of a thread."""

IN_TRACEBACK = re.compile(r'^  File "(?P<file>.*)", line (?P<line>\d+|\?\?\?), in (?P<function>.*)$')
NOT_SHOWN = ("<frozen importlib", str(Path(__file__).parents[1]) + "/", "<string>")
MAX_FRAMES = 8

BOOT = '  File "<string>", line 1 in <module>'
"""The outermost frame of a child: see `interpreter`."""

MACHINERY = ("<frozen runpy>", OWN_FOLDER, FUNCTIONS)


def readable(written: str) -> str:
    """The threads of a process with their frames, the innermost last as in a traceback.

    Coroutines come first, then the main thread. Text that a job wrote among them is made storable for PostgreSQL.
    """
    tasks, threads = blocks(written.replace("\0", "\\x00").encode(errors="backslashreplace").decode())
    *others, main = threads or [[]]  # the interpreter writes the youngest thread first
    named = [("coroutine", frames) for frames in tasks]
    if main:
        named += [("main thread", main), *(("another thread", frames) for frames in others)]
    return "\n".join(f"{name} (most recent call last):\n{text_of(frames)}" for name, frames in named)


def in_one_line(written: str) -> str:
    """The frames of the main thread, the innermost first, without those of jobq and of Python's import system."""
    frames = readable(written).partition("main thread")[2].partition("\n\n")[0]
    found = [match for line in frames.splitlines() if (match := IN_TRACEBACK.match(line))]
    shown = [f"{match['file']}:{match['line']} in {match['function']}" for match in found[::-1]]
    return ", from ".join([frame for frame in shown if not frame.startswith(NOT_SHOWN)][:MAX_FRAMES])


def blocks(written: str) -> tuple[list[list[str]], list[list[str]]]:
    """The frames of each coroutine, and of each thread."""
    tasks: list[list[str]] = []
    threads: list[list[str]] = []
    lines: list[str] = []
    for line in written.splitlines():
        if line.startswith((TASK, "Thread 0x", "Current thread 0x")):
            lines = []
            (tasks if line.startswith(TASK) else threads).append(lines)
        elif line.strip():
            lines.append(line)
    return [frames_of(block) for block in tasks], [frames_of(block) for block in threads]


def frames_of(block: list[str]) -> list[str]:
    """A thread's frames from the user's first one on. If it has none of the user's, all of them."""
    frames = block[::-1]
    if frames and frames[0].startswith(BOOT):
        frames = frames[1:]
    own = [frame for frame in frames if (match := FRAME.match(frame)) and not match["file"].startswith(MACHINERY)]
    return own or frames


def text_of(frames: list[str]) -> str:
    return "".join(f"{FRAME.sub(in_words_of_a_traceback, frame)}\n" for frame in frames)


def in_words_of_a_traceback(match: re.Match[str]) -> str:
    return f'  File "{match["file"]}", line {match["line"]}, in {match["function"]}'

"""Makes what the interpreter writes of its threads' stacks readable: as a traceback, without jobq's own frames."""

import re
from pathlib import Path

OWN_FOLDER = str(Path(__file__).parent) + "/"

FRAME = re.compile(r'^  File "(?P<file>.*)", line (?P<line>\d+|\?\?\?) in (?P<function>.*)$')
MACHINERY = ("<frozen runpy>", OWN_FOLDER)


def readable(written: str) -> str:
    """The threads of a process with their frames, the innermost last as in a traceback; the main thread first."""
    threads = [frames for block in blocks(written) if (frames := frames_of(block))]
    if not threads:
        return ""
    *others, main = threads  # the interpreter writes the youngest thread first
    named = [("main thread", main), *(("another thread", frames) for frames in others)]
    return "\n".join(f"{name} (most recent call last):\n{text_of(frames)}" for name, frames in named)


def blocks(written: str) -> list[list[str]]:
    """The lines of each thread. Of two stacks written one after the other the last counts."""
    found: list[list[str]] = []
    for line in written.splitlines():
        if line.startswith(("Thread 0x", "Current thread 0x")):
            found.append([])
        elif found and line.strip():
            found[-1].append(line)
    return found


def frames_of(block: list[str]) -> list[str]:
    """A thread's frames from the user's first one on; where there is none of the user's, all of them."""
    frames = block[::-1]
    own = [frame for frame in frames if (match := FRAME.match(frame)) and not match["file"].startswith(MACHINERY)]
    return own or frames


def text_of(frames: list[str]) -> str:
    return "".join(f"{FRAME.sub(in_words_of_a_traceback, frame)}\n" for frame in frames)


def in_words_of_a_traceback(match: re.Match[str]) -> str:
    return f'  File "{match["file"]}", line {match["line"]}, in {match["function"]}'

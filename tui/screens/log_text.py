"""What an attempt has logged and printed, as styled lines."""

from rich.text import Text

from jobq.observe import AttemptLog, LeftOut, LoggedLine

from .. import formats, theme

LEVEL_COLOURS = {"debug": theme.DIM, "warning": theme.WAIT, "error": theme.BAD, "critical": theme.BAD}


def log_lines(log: AttemptLog, *, is_running: bool) -> list[Text]:
    """All of it; where there is nothing, why."""
    lines = [line for entry in log.entries for line in lines_of(entry)]
    if lines:
        return lines
    why = "nothing has been logged or printed yet" if is_running else "no lines are kept: it said none, or went well"
    return [Text(why, theme.style(theme.DIM))]


def last_log_lines(log: AttemptLog, number: int) -> list[Text]:
    """So many of the last lines, under a heading."""
    lines = [line for entry in log.entries for line in lines_of(entry)]
    return [Text("the last lines that it logged or printed", theme.style(theme.DIM)), *lines[-number:]] if lines else []


def lines_of(entry: LoggedLine | LeftOut) -> list[Text]:
    if isinstance(entry, LeftOut):
        words = f"… {formats.plural(entry.lines, 'line')} left out …"
        return [Text(words, theme.style(theme.FAINT))]
    first, *more = entry.message.split("\n")
    colour = LEVEL_COLOURS.get(entry.level_name, theme.TEXT)
    head = Text.assemble(
        (f"{entry.at:%H:%M:%S}.{entry.at.microsecond // 1000:03d} ", theme.style(theme.FAINT)),
        (f"{entry.level_name:<8} ", theme.style(colour)),
        (f"{entry.source} ", theme.style(theme.DIM)),
        (first, theme.style(colour)),
    )
    return [head, *(Text(f"    {line}", theme.style(colour)) for line in more)]

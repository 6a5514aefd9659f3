"""A traceback as styled lines: the user's own frames stand out, those of libraries are folded or dimmed."""

from rich.text import Text

from jobq.tracebacks import told_apart

from .. import formats, theme


def traceback_lines(traceback: str, *, is_folded: bool, key: str | None = "o") -> list[Text]:
    """A traceback with the frames of libraries folded away, or dimmed."""
    lines: list[Text] = []
    folded = 0
    for line, is_own in told_apart(traceback):
        if is_own or not is_folded:
            if folded:
                lines.append(fold_line(folded, key))
                folded = 0
            lines.append(Text(line, theme.style(line_colour(line) if is_own else theme.DIM)))
        elif line.lstrip(" |+-").startswith('File "'):
            folded += 1
    if folded:
        lines.append(fold_line(folded, key))
    return lines


def fold_line(frames: int, key: str | None) -> Text:
    hint = f", {key} unfolds" if key else ""
    return Text(f"  … {formats.plural(frames, 'frame')} of libraries{hint}", theme.style(theme.FAINT))


def line_colour(line: str) -> str:
    """Distinguishes the last lines of a traceback, which say what was wrong, from source lines."""
    if line.startswith((" ", "Traceback")):
        return theme.TEXT if line.startswith("    ") else theme.DIM
    return theme.BAD

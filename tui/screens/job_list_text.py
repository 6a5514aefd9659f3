"""The lines around a list of jobs: the strip of lists, the filter, and marked or held jobs."""

from collections.abc import Callable, Mapping, Sequence

from rich.text import Text

from jobq.records import JobRecord
from jobq.states import FINISHED

from .. import formats, theme
from ..job_list import JobList
from ..keymap import Keymap
from ..marks import Marks
from ..match_counts import MatchCounts
from ..preferences import SavedView
from ..source import MATCH_LIMIT, VIEWS, Query, Snapshot, View
from ..theme import Glyphs
from ..window import PAGE

Counts = Mapping[str, tuple[int | None, str]]
"""The number of jobs in each list, by its name, with a sign: about, or at least. None: not known yet."""

ABOUT = "~"


def counts_of(snapshot: Snapshot | None) -> Counts:
    if snapshot is None:
        return {}
    stats = snapshot.stats
    return {
        "pending": (stats.pending, ABOUT if "pending" in stats.estimated else ""),
        "gated": (stats.gated, ABOUT if "gated" in stats.estimated else ""),
        "scheduled": (stats.scheduled, ABOUT if "scheduled" in stats.estimated else ""),
        "running": (stats.running, ""),
    }


def matches_of(counts: MatchCounts, glyphs: Glyphs) -> Counts:
    """The number of matches in each list, with a sign while they are being counted, or if that failed."""
    shown: dict[str, tuple[int | None, str]] = {}
    for view in VIEWS:
        found = counts.of(view)
        if found is None:
            shown[view.name] = (None, glyphs.unknown if counts.has_failed(view) else glyphs.more)
        else:
            is_least = found.number >= MATCH_LIMIT or found.looked is not None
            shown[view.name] = (found.number, glyphs.at_least if is_least else "")
    return shown


def other_list_words(empty: View, view: View, counts: MatchCounts) -> str:
    """Why another list is shown."""
    found = counts.of(empty)
    among = f" among the newest {formats.count(found.looked)}" if found is not None and found.looked else ""
    return f"no {empty.name} job matches{among}: these are {view.name}"


def strip(shown: View, views: Sequence[View], counts: Counts, glyphs: Glyphs, width: int, *, has_colours: bool) -> Text:
    """The lists with their counts. The shown one stands out."""
    for names in (lambda view: view.name, lambda view: view.short, lambda view: view.short if view is shown else ""):
        drawn = strip_of(shown, views, counts, glyphs, names, has_colours=has_colours)
        if drawn.cell_len <= width:
            break
    return drawn


def strip_of(
    shown: View,
    views: Sequence[View],
    counts: Counts,
    glyphs: Glyphs,
    name: Callable[[View], str],
    *,
    has_colours: bool,
) -> Text:
    text = Text("", no_wrap=True)
    for view in views if shown in views else (*views, shown):
        if view.name == "finished":
            text.append(f"{glyphs.bar}", theme.style(theme.FAINT))
        part = view_text(view, counts, glyphs, name(view), is_here=view is shown)
        if view is shown:
            part.stylize(f"on {theme.CURSOR}" if has_colours else "reverse")
        text.append_text(part)
    return text


def view_text(view: View, counts: Counts, glyphs: Glyphs, name: str, *, is_here: bool) -> Text:
    is_long = name == view.name
    number = formats.count if is_long else formats.short
    look = theme.style(theme.colour(view.look), bold=is_here)
    part = Text.assemble((f" {glyphs.states[view.look]} {name}".rstrip(), look))
    if view.name in counts:
        figure, sign = counts[view.name]
        colour = theme.TEXT if is_here else theme.DIM
        part.append(f" {sign}{'' if figure is None else number(figure)}", theme.style(colour))
    part.append("  " if is_long else " ")
    return part


def filter_text(query: Query | None) -> Text:
    """The filter. Terms that no job of this list can match are grey, and named."""
    if query is None or not query.text:
        return Text.assemble((" / ", theme.style(theme.KEY, bold=True)), ("filter", theme.style(theme.DIM)))
    text = Text.assemble((" / ", theme.style(theme.KEY, bold=True)))
    for word in query.text.split(" "):
        name, colon, value = word.partition(":")
        is_barred = word in query.barred
        text.append(name + colon if colon else "", theme.style(theme.DIM))
        text.append((value if colon else word) + " ", theme.style(theme.FAINT if is_barred else theme.TEXT, bold=True))
    if query.barred:
        text.append(f" no {query.view.name} job fits {' '.join(query.barred)} ", theme.style(theme.WAIT))
    return text


def chips(views: Sequence[SavedView], jobs: JobList, room: int, more: str) -> Text:
    """The saved views that fit. The shown one stands out."""
    drawn = Text()
    for saved in views:
        is_here = (saved.view, saved.filter) == (jobs.view.name, jobs.filter)
        look = theme.style(theme.KEY if is_here else theme.TEAL, reverse=is_here)
        chip = Text.assemble(" ", (f" {saved.name} ", look))
        if drawn.cell_len + chip.cell_len > room:
            drawn.append(f" {more}", theme.style(theme.DIM))
            break
        drawn.append_text(chip)
    return drawn


def match_text(jobs: JobList, loaded: int, glyphs: Glyphs) -> Text:
    """The number of loaded jobs, and their order."""
    if not jobs.window.is_loaded:
        return Text("looking ", theme.style(theme.DIM))
    order = "newest first"
    if jobs.sort is not None:
        order = f"by {jobs.sort[0].lower()} {glyphs.down if jobs.sort[1] else glyphs.up}"
    if jobs.is_partial:
        order = f"partial: looked at the newest {formats.count(jobs.window.looked)}"
    more = "" if jobs.window.is_complete and jobs.window.first == 0 else "+"
    noun = "match" if jobs.filter else ("job" if loaded == 1 and not more else "jobs")
    of = f" (the newest {formats.count(jobs.window.sorted)} sorted)" if jobs.window.sorted else ""
    return Text(f"{formats.count(loaded)}{more} {noun}   {order}{of} ", theme.style(theme.DIM))


def marked_text(jobs: JobList, marks: Marks, loaded: Sequence[JobRecord], keymap: Keymap, glyphs: Glyphs) -> Text:
    """The target of the next act."""
    if marks.is_all:
        return Text.assemble(
            (f" {glyphs.mark} all that match", theme.style(theme.KEY, bold=True)),
            (f"  {jobs.query}, also those not loaded", theme.style(theme.DIM)),
        )
    away = marks.away_from(loaded)
    beside = f", {away} not loaded here" if away and jobs.window.is_loaded else ""
    keys = f"   {keymap.shown('match_all')} all that match   {keymap.shown('back')} unmarks"
    return Text.assemble(
        (f" {glyphs.mark} {len(marks.ids)} marked{beside}", theme.style(theme.KEY, bold=True)),
        (keys, theme.style(theme.DIM)),
    )


def place_text(jobs: JobList, current: JobRecord | None, cursor: int, loaded: int) -> Text:
    """The position of the cursor."""
    if current is not None and jobs.window.is_gone(current.id):
        words = f" #{current.id} has left this list; enter shows its result"
        return Text(words, theme.style(theme.WAIT))
    return Text(f" {cursor + 1} of {formats.count(loaded)}" if loaded else "", theme.style(theme.DIM))


def newer_text(jobs: JobList, keymap: Keymap, glyphs: Glyphs) -> Text:
    """The number of new jobs that are held back."""
    newer = jobs.window.newer
    if not newer or jobs.is_following:
        return Text("")
    more = "+" if newer >= PAGE else ""
    return Text.assemble(
        (f"{glyphs.up} {newer}{more} newer, held", theme.style(theme.BUSY, bold=True)),
        (f"  {keymap.shown('top')} lets them in ", theme.style(theme.DIM)),
    )


def emptiness(jobs: JobList, keymap: Keymap, more: str) -> str:
    """The text shown when there are no rows."""
    if not jobs.window.is_loaded:
        return jobs.problem or "looking" + more
    back = keymap.shown("back")
    if jobs.is_partial:
        looked = formats.count(jobs.window.looked)
        return f"no job matches among the newest {looked}: {keymap.shown('bottom')} looks further, since:1h narrows it"
    if "group:" in jobs.filter and jobs.view.which == FINISHED:
        return f"no job of this group is at rest: all were tried again, or deleted. {back} clears the filter"
    return f"no job matches: {back} clears the filter" if jobs.filter else f"no {jobs.view.name} jobs"

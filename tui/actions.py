"""Every action of the console: one table that keys, footer, help, palette and dialogs read."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

from textual.binding import Binding

from jobq.operate import KEPT_SECONDS, UNDO_SECONDS
from jobq.states import FINISHED, State

from .formats import span


class Tier(IntEnum):
    """How much confirmation an action needs."""

    NONE = 0  # no confirmation
    YES = 1  # one key confirms what is shown
    TYPED = 2  # the number of jobs must be typed


UNDO_FOR = f"for {span(UNDO_SECONDS)}"
"""How long an act can be undone, in words."""

MANY = 100
"""An act on more jobs than this needs their number typed."""


@dataclass(frozen=True, slots=True)
class Act:
    """What an action does to jobs: the states it accepts, the confirmation it needs, and how it is undone."""

    verb: str  # also the name of the command
    done: str
    states: frozenset[str]
    one: Tier
    few: Tier
    many: Tier = Tier.TYPED
    effect: str = ""
    undo: str | None = None  # which jobs an undo covers; None: it cannot be undone
    is_work: bool = False  # the jobs will run

    def tier(self, number: int, *, is_production: bool) -> Tier:
        if is_production:
            return Tier.TYPED
        if number > MANY:
            return self.many
        return self.one if number == 1 else self.few


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that a key does. `needs` names an ability of the source without which the action does not exist."""

    name: str
    key: str
    words: str
    help: str
    group: str
    shown: str = ""
    writes: bool = False
    needs: str | None = None
    act: Act | None = field(default=None)

    @property
    def keys(self) -> str:
        """The key as it is shown to people."""
        return self.shown or self.key


RETRY = Act(
    "retry",
    "retried",
    frozenset({FINISHED}),
    one=Tier.NONE,
    few=Tier.YES,
    effect="each is queued again under its own id, with one more attempt",
    undo=f"{UNDO_FOR}: those that have not started",
    is_work=True,
)
CANCEL = Act(
    "cancel",
    "cancelled",
    frozenset({State.PENDING, State.GATED, State.SCHEDULED, State.RUNNING}),
    one=Tier.YES,
    few=Tier.YES,
    effect="those that wait end as cancelled; those that run are asked to end, then made to",
    undo=f"{UNDO_FOR}: those that had not begun",
)
PURGE = Act(
    "purge",
    "deleted",
    frozenset({FINISHED}),
    one=Tier.TYPED,
    few=Tier.TYPED,
    effect=f"they are taken out of the history, with all their attempts, and deleted after {span(KEPT_SECONDS)}",
    undo=UNDO_FOR,
)

ACTIONS = (
    Action("open", "enter", "open", "Open what the cursor is on.", "look", shown="↵"),
    Action("back", "escape", "back", "Close this, or clear what is set: marks first, then the filter.", "look", "esc"),
    Action("filter", "slash", "filter", "Search the jobs of all states: words, argument, error, key.", "look", "/"),
    Action("narrow", "backslash", "filter", "Say which groups to show.", "look", "\\"),
    Action("sort", "s", "sort", "Order by the next column; once more to go on.", "look"),
    Action("views", "b", "views", "Save this list with its filter under a name, or go to one that is saved.", "look"),
    Action("columns", "v", "columns", "Choose which columns this list has.", "look"),
    Action("top", "g", "top", "Go to the first row, and let in what is new.", "move"),
    Action("bottom", "G", "last loaded", "Go to the last row that is loaded.", "move"),
    Action("state_left", "left", "state", "The state before.", "move", "←"),
    Action("state_right", "right", "state", "The next state.", "move", "→"),
    Action("mark", "space", "mark", "Mark the row, for an act on all that are marked.", "act", "space"),
    Action("mark_range", "V", "mark range", "Mark everything from the last mark to here.", "act"),
    Action("match_all", "asterisk", "all matching", "Mark all that match, also those that are not loaded.", "act", "*"),
    Action("retry", "r", "retry", "Retry: queue finished jobs again.", "act", writes=True, act=RETRY),
    Action(
        "cancel",
        "c",
        "cancel",
        "Cancel: call off jobs that wait, and stop jobs that run.",
        "act",
        writes=True,
        act=CANCEL,
    ),
    Action("purge", "D", "delete", "Delete finished jobs from the history.", "act", writes=True, act=PURGE),
    Action("edit", "e", "edit+run", "Run a new job like this one, with other arguments.", "act", writes=True),
    Action("enqueue", "n", "new job", "Enqueue a new job, with its arguments, now or later.", "act", writes=True),
    Action("run_now", "t", "run now", "Enqueue the job of a schedule now, out of turn.", "act", writes=True),
    Action("pause", "p", "pause/resume", "Stop it from starting anything, or let it go on.", "act", writes=True),
    Action("limit", "l", "limit", "Set how many jobs of a gate or a lane run at once.", "act", writes=True),
    Action(
        "stop", "S", "stop", "Have a worker end what it runs, and stop; declare a silent one dead.", "act", writes=True
    ),
    Action(
        "mute",
        "m",
        "mute 24 h",
        "Keep these failures out of what needs somebody for a day; or no more.",
        "act",
        writes=True,
    ),
    Action("preview", "w", "next 24 h", "What the schedules will enqueue in the next 24 hours.", "look"),
    Action("stack", "l", "live stack", "What the job is doing at this moment: its Python stack.", "look"),
    Action("log", "L", "log", "What the job logs and prints: its last lines; of a running one, as they come.", "look"),
    Action("why", "w", "why", "Why it has not run yet, and what helps.", "look"),
    Action(
        "undo", "z", "undo", "Take back what was done in the last minute, as far as that can be.", "act", writes=True
    ),
    Action("range_less", "left_curly_bracket", "shorter", "A shorter period.", "look", "{"),
    Action("range_more", "right_curly_bracket", "longer", "A longer period.", "look", "}"),
    Action("copy", "y", "copy", "Copy the id, the arguments, the traceback or a command.", "look"),
    Action("fold", "o", "unfold", "Show or hide the frames of libraries in a traceback.", "look"),
    Action("section", "tab", "section", "The next section.", "look", "tab"),
    Action("previous", "left_square_bracket", "previous", "The job before this one in the list.", "look", "["),
    Action("next", "right_square_bracket", "next", "The job after this one in the list.", "look", "]"),
    Action("older", "left", "older try", "The attempt before this one.", "look", "←"),
    Action("newer", "right", "newer try", "The attempt after this one.", "look", "→"),
    Action(
        "step_back",
        "less_than_sign",
        "back",
        "In a recording: the look before this one.",
        "console",
        "<",
        needs="replay",
    ),
    Action("step_on", "greater_than_sign", "on", "In a recording: the next look.", "console", ">", needs="replay"),
    Action("minute_back", "minus", "minute back", "In a recording: a minute back.", "console", "-", needs="replay"),
    Action("minute_on", "plus", "minute on", "In a recording: a minute on.", "console", "+", needs="replay"),
    Action(
        "speed",
        "comma",
        "speed",
        "In a recording: faster, up to 60 times; then as it was.",
        "console",
        ",",
        needs="replay",
    ),
    Action("look", "ctrl+r", "look now", "Look at once, without waiting for the next look.", "console"),
    Action("freeze", "f", "freeze", "Stand still: nothing moves until you press it again.", "console"),
    Action("actions", "full_stop", "all actions", "Everything that can be done here, and why not.", "console", "."),
    Action("palette", "colon", "command", "Find anything by its words, or a job by its number.", "console", ":"),
    Action("help", "question_mark", "help", "What the keys do.", "console", "?"),
    Action("quit", "q", "quit", "Leave the console.", "console"),
)

BY_NAME = {action.name: action for action in ACTIONS}

VERBS = {
    **{action.name: action.act.verb for action in ACTIONS if action.act is not None},
    "edit": "run again",
    "enqueue": "enqueue",
    "run_now": "run schedule",
    "pause": "pause",
    "limit": "limit gate",
    "stop": "stop worker",
    "mute": "mute",
    "stack": "stack",
    "undo": "undo",
}
"""Maps actions that need rights beyond reading to their verb in the audit, which names the right that a role lacks."""

GROUPS = {
    "move": "Moving",
    "look": "Looking",
    "act": "Acting",
    "console": "The console",
}

MOVES = (
    ("j k ↑ ↓", "one row"),
    ("ctrl+d ctrl+u", "half a page; also page up and page down"),
    ("tab", "the next part of the screen"),
    ("1 2 … 7", "the screens, by their numbers in the second line"),
)
"""Keys that every list has. They are not actions."""


def bindings(*names: str) -> list[Binding | tuple[str, str] | tuple[str, str, str]]:
    """The keys of these actions, for a screen."""
    return [
        Binding(action.key, action.name, action.words, id=action.name, show=False)
        for action in (BY_NAME[name] for name in names)
    ]


def acts() -> Iterable[Act]:
    return (action.act for action in ACTIONS if action.act is not None)

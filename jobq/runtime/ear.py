"""Makes the main loop's selector watch a connection, except while it is told not to."""

import selectors
from time import monotonic

from jobq.store.line import Line


class Ear:
    """`owner` is what the selector returns when data has arrived."""

    def __init__(self, selector: selectors.BaseSelector, owner: object) -> None:
        self._selector = selector
        self._owner = owner
        self._closed_until: float | None = None

    @property
    def closed_until(self) -> float | None:
        """When it watches again. None: it is watching."""
        return self._closed_until

    def listen(self, line: Line) -> None:
        """Also watches for room to write, as long as the connection has data to write."""
        if self._closed_until is not None:
            if monotonic() < self._closed_until:
                return
            self._closed_until = None
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if line.has_to_write else 0)
        key = self._selector.get_map().get(line)
        if key is None:
            self._selector.register(line, events, self._owner)
        elif key.events != events:
            self._selector.modify(line, events, self._owner)

    def close_for(self, line: Line, seconds: float) -> None:
        """Leaves arriving data unread."""
        if self._closed_until is None:
            self._selector.unregister(line)
            self._closed_until = monotonic() + seconds

    def leave(self, line: Line) -> None:
        """To be called before the connection is closed."""
        if self._closed_until is None:
            self._selector.unregister(line)
        self._closed_until = None

"""Requests claims for the available room, and gives back jobs for which there is none."""

from jobq.records import ClassRecord
from jobq.runtime.children import Children
from jobq.runtime.services import Services
from jobq.runtime.stock import Stock, max_waiting
from jobq.settings import Settings

USED_UP = 1 / 3
"""A claim of less than this part of the allowed stock costs too much per job."""

MAX_UNRECORDED = 5000
"""With this many unrecorded reports, nothing more is claimed until the database has caught up, or is back."""


class Supply:
    """Stands between the claimers and the stock."""

    def __init__(self, settings: Settings, children: Children, stock: Stock, services: Services) -> None:
        self.stock = stock
        self._settings = settings
        self._children = children
        self._services = services
        self._claimer = services.claimer
        self._coroutine_claimer = services.coroutine_claimer
        self._claimers = services.claimers
        self._gate_claimer = services.gate_claimer
        self._was_gates_turn = False

    def receive(self) -> None:
        """Takes in claimed jobs."""
        for claimer in self._claimers:
            if claimed := claimer.room.take():
                self.stock.add(claimed)
        if self._gate_claimer.has_delivered:  # at the front: each of them holds a place
            self.stock.put_back([*self._gate_claimer.room.take(), *self._gate_claimer.coroutine_room.take()])
        self.stock.add_prepared()

    def ask_for_more(self) -> None:
        """A claim is worth it when this part of the allowed stock is used up: it then runs while the children work."""
        dispatcher, pace, stock = self._children.dispatcher, self._children.pace, self.stock
        waiting = max_waiting(
            pace.mean_seconds,
            dispatcher.seconds_at_current(),
            processes=self._children.crew.settings.processes,
            limit_per_process=self._settings.max_pending_per_process,
        )
        limit = dispatcher.free() + waiting
        is_behind = self._services.completer.backlog > MAX_UNRECORDED
        set_apart = stock.set_apart
        room = 0 if is_behind else limit - len(stock.plain) - set_apart
        places = 0
        if stock.coroutine_classes:
            places = 0 if is_behind else dispatcher.free_for_coroutines() - len(stock.coroutines) - set_apart
        for_gates = self._ask_gates(room if pace.window > 1 else min(room, dispatcher.free()), places)
        self._claimer.want(room - for_gates, least=max(1, int(limit * USED_UP)))
        if stock.coroutine_classes:
            self._coroutine_claimer.want(places)

    def _ask_gates(self, room: int, places: int) -> int:
        """Asks for jobs that wait at gates, where some do; returns how much of the room is kept for them.

        Where jobs are long there is a single free child at a time: the two kinds take turns at it.
        """
        gates = self._gate_claimer
        gates.look_after_places()
        if not gates.gates:
            gates.want(room, places)  # whatever is found first
            return 0
        if not gates.is_hot or room <= 0:
            gates.want(room, places)
            return 0
        share = (room + 1) // 2
        if room == 1:
            share = int(gates.is_asking or not self._was_gates_turn)
            self._was_gates_turn = bool(share)
        gates.want(share, places)
        return share

    def give_back_stale(self) -> None:
        if self.stock.is_stale:
            self.give_back_all()

    def give_back_all(self) -> None:
        """Unsent jobs go back into the database."""
        plain, coroutines = self.stock.take_all()
        if coroutines:
            # The claimer gives them back itself, so that this comes before its next claim.
            self._coroutine_claimer.give_back(coroutines)
        if plain:
            self._claimer.give_back(self._services.hooks.leave(plain))

    def claim_anew(self) -> None:
        for claimer in self._claimers:
            claimer.look()
        if self._gate_claimer.is_connected:  # else there was never a gate; a look around would tell
            self._gate_claimer.look()

    def tell_classes(self, classes: tuple[ClassRecord, ...]) -> None:
        """Coroutines are claimed separately if children run them side by side."""
        coroutines = [record for record in classes if record.is_coroutine and self._settings.concurrency > 1]
        self.stock.coroutine_classes = frozenset(name for record in coroutines for name in record.names)
        self._coroutine_claimer.classes = tuple(self.stock.coroutine_classes)
        self._gate_claimer.coroutine_classes = self._coroutine_claimer.classes
        self._claimer.classes = self._gate_claimer.classes = tuple(
            name for record in classes if record not in coroutines for name in record.names
        )

    def stop_claiming(self) -> None:
        self._gate_claimer.stop_claiming()
        for claimer in self._claimers:
            claimer.stop_claiming()

    def drop_all(self) -> None:
        """Forgets everything: the jobs belong to another worker now."""
        for claimer in self._claimers:
            claimer.room.take()
        self._gate_claimer.drop_all()
        self.stock.drop_all()

    @property
    def is_empty(self) -> bool:
        """Whether no claimed job waits here or is on its way here."""
        has_delivered = self._gate_claimer.has_delivered or any(one.room.has_delivered for one in self._claimers)
        return self.stock.is_empty and not has_delivered

    @property
    def has_to_give_back(self) -> bool:
        return any(bool(claimer.giving_back) for claimer in self._claimers)

    @property
    def is_asking(self) -> bool:
        """Whether an answer is outstanding, which may bring jobs."""
        return self._gate_claimer.is_asking or any(claimer.is_asking for claimer in self._claimers)

    @property
    def empty_look_began(self) -> float | None:
        """When the earliest of the last fruitless looks began. None if some claimer has not had one."""
        looks = [claimer.queues.empty_look_began for claimer in self._claimers if claimer.classes]
        if looks:
            looks.append(self._gate_claimer.empty_look_began)
        return None if None in looks else min((look for look in looks if look is not None), default=None)

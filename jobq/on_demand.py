"""Sequences whose members are made on access: of a hundred thousand jobs enqueued at once, hardly any is looked at."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, overload

Member = TypeVar("Member")


class OnDemand(Sequence[Member], Generic[Member]):
    """Like the list of `make`'s results for each of these places."""

    __slots__ = ("_make", "_places")

    def __init__(self, places: range, make: Callable[[int], Member]) -> None:
        self._places, self._make = places, make

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Member: ...
    @overload
    def __getitem__(self, index: slice) -> "OnDemand[Member]": ...
    def __getitem__(self, index: int | slice) -> "Member | OnDemand[Member]":
        if isinstance(index, slice):
            return OnDemand(self._places[index], self._make)
        return self._make(self._places[index])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OnDemand | list) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # as a list

    def __repr__(self) -> str:
        return repr(list(self))

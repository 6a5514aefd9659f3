"""The order of a list by one of its columns."""

from typing import Any

from ..widgets.rows import Column


def next_order(columns: list[Column], order: tuple[str, bool] | None, width: int) -> tuple[str, bool] | None:
    """The next order: each column that has one, ascending and descending, then none."""
    orders: list[tuple[str, bool]] = [
        (column.title, is_falling)
        for column in columns
        if column.order is not None and width >= column.least
        for is_falling in ((True, False) if column.right else (False, True))
    ]
    place = orders.index(order) + 1 if order in orders else 0
    return orders[place] if place < len(orders) else None


def sorted_by(columns: list[Column], items: list[Any], order: tuple[str, bool]) -> list[Any]:
    column = next(column for column in columns if column.title == order[0])
    assert column.order is not None
    return sorted(items, key=column.order, reverse=order[1])

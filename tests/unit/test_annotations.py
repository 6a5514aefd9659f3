"""Arguments typed for a class that is known by its parameters' texts only."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from jobq.arguments import encode, from_annotation
from jobq.errors import ArgumentsError


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        ("int", "3", 3),
        ("int | None", "none", None),
        ("str | int", "3", 3),
        ("str", "3", "3"),
        ("bool", "yes", True),
        ("datetime.date", "2026-11-03", date(2026, 11, 3)),
        ("decimal.Decimal", "1.50", Decimal("1.50")),
        ("list[int]", "[1, 2]", [1, 2]),
        ("dict[str, list[int]] | None", '{"a": [1]}', {"a": [1]}),
        ("tuple[int, ...]", "[1, 2]", (1, 2)),
        (None, "3", 3),
        (None, "three", "three"),
        ("Colour", "red", "red"),
        ("not an (annotation", "x", "x"),
    ],
)
def test_text_is_read_as_the_annotation_says(annotation: str | None, text: str, value: Any) -> None:
    assert from_annotation(annotation, text) == value


@pytest.mark.parametrize(("annotation", "text"), [("int", "x"), ("list[int]", '["x"]'), ("datetime.date", "soon")])
def test_what_does_not_fit_is_refused(annotation: str, text: str) -> None:
    with pytest.raises(ArgumentsError):
        from_annotation(annotation, text)


def test_what_is_stored_under_a_tag_can_be_typed_as_it_is_stored() -> None:
    stored = encode({"on": date(2026, 11, 3)}).removeprefix('{"on":').removesuffix("}")
    assert from_annotation("datetime.date", stored) == date(2026, 11, 3)


def test_a_tag_that_nobody_registered_is_refused() -> None:
    with pytest.raises(ArgumentsError):
        from_annotation(None, '{"$": "os.system", "v": "id"}')

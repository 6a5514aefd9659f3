"""Converts constructor arguments to JSON and back.

    codec        values to JSON under typed tags, and back
    registered   the types that may be arguments, and rows of the user's own database
    binding      from the call of a constructor to what is stored, and back
    typed_text   arguments typed into a shell or a form
    secrets      texts that are never shown
    stored_json  the form and the limits of stored JSON
    words        the user's values in messages

A tag is data: `{"$": "datetime", "v": "…"}` is looked up among the registered types, and nothing is ever imported or
called that the program did not register. A user's own dictionary with a "$" key is stored in a form of its own, so that
no value can pass for a tag.
"""

from jobq.arguments.binding import (
    BY_POSITION,
    MIGRATE,
    bind,
    check_stored,
    parameters,
    rebuild,
    signature_of,
    stored_name,
)
from jobq.arguments.codec import decode, decoded, encode, encode_note, encode_value, value_and_note
from jobq.arguments.registered import CODECS_BY_NAME, ROWS, RowReference, register_rows, register_type, storable
from jobq.arguments.secrets import MASK, Secret, have_secrets, masked, masker, without_secrets
from jobq.arguments.stored_json import MAX_DEPTH, legible, read_json
from jobq.arguments.typed_text import converted, fitted, from_annotation, from_command_line, guessed

__all__ = [
    "BY_POSITION",
    "CODECS_BY_NAME",
    "MASK",
    "MAX_DEPTH",
    "MIGRATE",
    "ROWS",
    "RowReference",
    "Secret",
    "bind",
    "check_stored",
    "converted",
    "decode",
    "decoded",
    "encode",
    "encode_note",
    "encode_value",
    "fitted",
    "from_annotation",
    "from_command_line",
    "guessed",
    "have_secrets",
    "legible",
    "masked",
    "masker",
    "parameters",
    "read_json",
    "rebuild",
    "register_rows",
    "register_type",
    "signature_of",
    "storable",
    "stored_name",
    "value_and_note",
    "without_secrets",
]

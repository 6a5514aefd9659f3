"""Rows of Django and SQLAlchemy as arguments: what names a row is stored, and the job gets it as it is when it runs.

Neither is imported here unless the application uses it.
"""

import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from jobq import arguments
from jobq.errors import ArgumentsError, RowGone

OPENED: ContextVar["list[Callable[[], None]] | None"] = ContextVar("jobq_opened", default=None)
"""What is to be closed after the attempt for which rows were loaded."""


def close_opened() -> None:
    """Ends the sessions that loaded rows for the attempt that has ended."""
    if (opened := OPENED.get()) is None:
        return
    OPENED.set(None)
    for close in opened:
        close()


def may_be_in(stored: str) -> bool:
    """Whether stored arguments may refer to rows: a look at their text."""
    return any(f'"{name}"' in stored for name in arguments.ROWS)


# Django


def is_django_row(value: Any) -> bool:
    models = sys.modules.get("django.db.models")
    return models is not None and isinstance(value, models.Model)


def refer_to_django_row(row: Any) -> dict[str, Any]:
    if row.pk is None or row._state.adding:
        raise ArgumentsError(f"a {row._meta.label} that is not saved cannot be referred to. Save it first.")
    return {"model": row._meta.label_lower, "key": row.pk, "database": row._state.db or "default"}


def refer_to_django_key(cls: Any, text: str) -> dict[str, Any] | None:
    models = sys.modules.get("django.db.models")
    if models is None or not issubclass(cls, models.Model) or cls._meta.pk is None:
        return None
    try:
        several = arguments.guessed(text)
        key = several if isinstance(several, list) else cls._meta.pk.to_python(text)
    except sys.modules["django.core.exceptions"].ValidationError as error:
        raise ValueError(text) from error
    return {"model": cls._meta.label_lower, "key": key, "database": cls._base_manager.db}


def load_django_row(stored: dict[str, Any]) -> Any:
    """Only a model of the installed applications can be named, and its manager is asked for no more than the key."""
    apps = sys.modules.get("django.apps")
    if apps is None or not apps.apps.ready:
        raise ArgumentsError(
            f"a row of Django's model {stored['model']} cannot be loaded: call django.setup() where the jobs are "
            "defined."
        )
    try:
        model = apps.apps.get_model(stored["model"])
    except LookupError as error:
        raise ArgumentsError(f"a row of Django's model {stored['model']} cannot be loaded: {error}") from None
    try:
        return model._base_manager.using(stored["database"]).get(pk=stored["key"])
    except model.DoesNotExist:
        raise RowGone(f"{model._meta.label} {stored['key']!r} is gone: there is no such row any more.") from None


arguments.register_rows(
    "django row",
    recognises=is_django_row,
    refer=refer_to_django_row,
    load=load_django_row,
    refer_to_key=refer_to_django_key,
)


# SQLAlchemy


def use_sqlalchemy(sessions: Callable[[], Any], base: Any) -> None:
    """Lets rows of SQLAlchemy's mapped classes be arguments: those of `base`, loaded in sessions that `sessions` makes.

    Call it where the models are defined, say, with your sessionmaker and your declarative base. All rows of one job
    share a session, which is closed after the job. In an application that has only asynchronous sessions, make a
    synchronous sessionmaker for this.
    """
    SQLALCHEMY["sessions"], SQLALCHEMY["base"] = sessions, base


SQLALCHEMY: dict[str, Any] = {}

SESSION: ContextVar[Any] = ContextVar("jobq_session", default=None)


def is_sqlalchemy_row(value: Any) -> bool:
    return "sqlalchemy.orm" in sys.modules and hasattr(type(value), "__mapper__")


def refer_to_sqlalchemy_row(row: Any) -> dict[str, Any]:
    from sqlalchemy import inspect

    identity = inspect(row).identity
    if identity is None:
        raise ArgumentsError(
            f"a {class_name(type(row))} without its key cannot be referred to. Flush its session first."
        )
    return {"class": class_name(type(row)), "key": list(identity)}


def refer_to_sqlalchemy_key(cls: Any, text: str) -> dict[str, Any] | None:
    if "sqlalchemy.orm" not in sys.modules or not hasattr(cls, "__mapper__"):
        return None
    columns = cls.__mapper__.primary_key
    if len(columns) == 1:
        return {"class": class_name(cls), "key": [arguments.converted(text, type_of(columns[0]), "the key")]}
    parts = arguments.read_json(text)
    if not isinstance(parts, list) or len(parts) != len(columns):
        raise ValueError(text)
    key = [arguments.fitted(part, type_of(column), column.name) for part, column in zip(parts, columns, strict=True)]
    return {"class": class_name(cls), "key": key}


def type_of(column: Any) -> type | None:
    """The type of a column's values; None where its own type does not tell."""
    try:
        found: type = column.type.python_type
    except NotImplementedError:
        return None
    return found


def load_sqlalchemy_row(stored: dict[str, Any]) -> Any:
    if not SQLALCHEMY:
        raise ArgumentsError(
            f"a row of {stored['class']} cannot be loaded: call jobq.references.use_sqlalchemy(sessionmaker, Base) "
            "where the models are defined."
        )
    for mapper in SQLALCHEMY["base"].registry.mappers:
        if class_name(mapper.class_) == stored["class"]:
            row = session_of_attempt().get(mapper.class_, tuple(stored["key"]))
            if row is None:
                key = ", ".join(map(repr, stored["key"]))
                raise RowGone(f"{stored['class']} {key} is gone: there is no such row any more.")
            return row
    raise ArgumentsError(f"a row of {stored['class']} cannot be loaded: there is no such mapped class any more.")


def session_of_attempt() -> Any:
    session = SESSION.get()
    if session is None:
        session = SQLALCHEMY["sessions"]()
        SESSION.set(session)
        if (opened := OPENED.get()) is None:
            OPENED.set(opened := [])
        opened += [session.close, forget_session]
    return session


def forget_session() -> None:
    SESSION.set(None)


def class_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


arguments.register_rows(
    "sqlalchemy row",
    recognises=is_sqlalchemy_row,
    refer=refer_to_sqlalchemy_row,
    load=load_sqlalchemy_row,
    refer_to_key=refer_to_sqlalchemy_key,
)

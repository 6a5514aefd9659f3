"""Rows of Django and SQLAlchemy as arguments: the key of a row is stored, and the job loads the current row.

Neither is imported here unless the application uses it.
"""

import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

from jobq import arguments
from jobq.errors import ArgumentsError, RowGone

Result = TypeVar("Result")

OPENED: ContextVar["list[Callable[[], None]] | None"] = ContextVar("jobq_opened", default=None)
"""Sessions to close after the attempt for which they loaded rows."""


def close_opened() -> None:
    """Closes the sessions that loaded rows for the ended attempt."""
    if (opened := OPENED.get()) is None:
        return
    OPENED.set(None)
    for close in opened:
        close()


def may_be_in(stored: str) -> bool:
    """Whether stored arguments may refer to rows: a test of their text."""
    return any(f'"{name}"' in stored for name in arguments.ROWS)


# Django


def is_django_row(value: Any) -> bool:
    models = sys.modules.get("django.db.models")
    return models is not None and isinstance(value, models.Model)


def refer_to_django_row(row: Any) -> dict[str, Any]:
    if row.pk is None or row._state.adding:
        raise ArgumentsError(f"this {row._meta.label} is not saved yet, so it cannot be an argument. Save it first.")
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
    """Only a model of the installed applications can be named, and its manager is asked only for the key."""
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
    """Allows rows of SQLAlchemy as arguments: rows of the classes of `base`, loaded in sessions that `sessions` makes.

    Call it where the models are defined, with your `sessionmaker` or `scoped_session` (Flask-SQLAlchemy's
    `db.session`) and your declarative base. All rows of one job share a session, which is closed after the job.

    An `async_sessionmaker` loads rows for jobs whose run() is `async def`, in the event loop that they run in. These
    rows belong to no session: `session.add(row)` puts one into yours. If your application also has ordinary jobs with
    rows, call this a second time with an ordinary sessionmaker. Raises ArgumentsError if `sessions` makes none.
    """
    global belong_to_loops
    if not hasattr(getattr(base, "registry", base), "mappers"):
        raise ArgumentsError(f"use_sqlalchemy takes a declarative base as its second argument, but got {base!r}.")
    if not callable(sessions):
        raise ArgumentsError(
            f"use_sqlalchemy takes what makes sessions (a sessionmaker), but got a {class_name(type(sessions))}: pass "
            "sessionmaker(engine), or async_sessionmaker(engine)."
        )
    SQLALCHEMY["base"] = base
    SQLALCHEMY["async sessions" if are_asynchronous(sessions) else "sessions"] = sessions
    belong_to_loops = "async sessions" in SQLALCHEMY


SQLALCHEMY: dict[str, Any] = {}

belong_to_loops = False
"""Whether there are asynchronous sessions: then a coroutine's rows are loaded in its own loop."""


def are_asynchronous(sessions: Any) -> bool:
    module = sys.modules.get("sqlalchemy.ext.asyncio")
    if module is None:
        return False
    is_session = isinstance(sessions, type) and issubclass(sessions, module.AsyncSession)
    return is_session or isinstance(sessions, module.async_sessionmaker | module.async_scoped_session)


def are_of_loops(stored: str) -> bool:
    """Whether a coroutine's rows come from asynchronous sessions."""
    return belong_to_loops and f'"{SQLALCHEMY_ROW}"' in stored


async def in_session_of_loop(load: Callable[[], Result]) -> Result:
    """Calls a function that loads rows, in an asynchronous session of this loop.

    The session is closed afterwards: otherwise a job would hold a connection of the pool while it waits for another.
    """
    sessions = SQLALCHEMY["async sessions"]

    def in_greenlet(session: Any) -> Result:
        SESSION.set(session)
        try:
            return load()
        finally:
            SESSION.set(None)

    async with getattr(sessions, "session_factory", sessions)() as session:
        result: Result = await session.run_sync(in_greenlet)
        return result


def remove_session_of_thread() -> None:
    """Ends this thread's session of a `scoped_session`, with its transaction."""
    if (sessions := SQLALCHEMY.get("sessions")) is not None and is_scoped_by_thread(sessions):
        sessions.remove()


def is_scoped_by_thread(sessions: Any) -> bool:
    util = sys.modules.get("sqlalchemy.util")
    return util is not None and isinstance(getattr(sessions, "registry", None), util.ThreadLocalRegistry)


def engines_of_sessions() -> Iterator[Any]:
    """The engines of the sessions, if they have any. For asynchronous sessions: the engine below."""
    for kind in ("sessions", "async sessions"):
        sessions = SQLALCHEMY.get(kind)
        factory = getattr(sessions, "session_factory", sessions)
        engine = getattr(factory, "kw", {}).get("bind")
        if hasattr(engine, "dispose"):  # it may be a connection
            yield getattr(engine, "sync_engine", engine)


SESSION: ContextVar[Any] = ContextVar("jobq_session", default=None)


def is_sqlalchemy_row(value: Any) -> bool:
    return "sqlalchemy.orm" in sys.modules and hasattr(type(value), "__mapper__")


def refer_to_sqlalchemy_row(row: Any) -> dict[str, Any]:
    from sqlalchemy import inspect

    identity = inspect(row).identity
    if identity is None:
        raise ArgumentsError(
            f"this {class_name(type(row))} has no primary key yet, so it cannot be an argument. "
            "Flush its session first."
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
    """The type of a column's values. None if the column's type does not tell."""
    try:
        found: type = column.type.python_type
    except NotImplementedError:
        return None
    return found


def load_sqlalchemy_row(stored: dict[str, Any]) -> Any:
    if not SQLALCHEMY:
        raise ArgumentsError(
            f"a row of {stored['class']} cannot be loaded: call jobq.use_sqlalchemy(sessionmaker, Base) where the "
            "models are defined."
        )
    base = SQLALCHEMY["base"]
    for mapper in getattr(base, "registry", base).mappers:
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
        session = new_session()
        SESSION.set(session)
        if (opened := OPENED.get()) is None:
            OPENED.set(opened := [])
        opened += [session.close, forget_session]
    return session


def new_session() -> Any:
    sessions = SQLALCHEMY.get("sessions")
    if sessions is None:
        raise ArgumentsError(
            "rows are loaded with an async_sessionmaker for jobs whose run() is `async def` only. Make run() one, or "
            "call jobq.use_sqlalchemy(sessionmaker, Base) too, with an ordinary sessionmaker."
        )
    is_beside_others = OPENED.get() is not None
    if is_beside_others and is_scoped_by_thread(sessions):  # the thread will load the rows of another job
        return sessions.session_factory()
    return sessions()


def forget_session() -> None:
    SESSION.set(None)


def class_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


SQLALCHEMY_ROW = "sqlalchemy row"

arguments.register_rows(
    SQLALCHEMY_ROW,
    recognises=is_sqlalchemy_row,
    refer=refer_to_sqlalchemy_row,
    load=load_sqlalchemy_row,
    refer_to_key=refer_to_sqlalchemy_key,
)

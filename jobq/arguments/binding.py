"""Converts the call of a constructor to stored arguments, and back."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from jobq.arguments.codec import decode
from jobq.arguments.words import annotation_text, safe_repr, safe_text
from jobq.errors import ArgumentsError

MIGRATE: Final = "migrate_arguments"


@dataclasses.dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a job's constructor, for listings and forms."""

    name: str
    kind: str  # positional, any, keyword, rest (*args) or named rest (**kwargs)
    annotation: str | None
    default: str | None
    required: bool


KINDS = {
    inspect.Parameter.POSITIONAL_ONLY: "positional",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "any",
    inspect.Parameter.VAR_POSITIONAL: "rest",
    inspect.Parameter.KEYWORD_ONLY: "keyword",
    inspect.Parameter.VAR_KEYWORD: "named rest",
}
BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def bind(job_class: type, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a constructor call, by parameter name; `*args` under "*name", `**kwargs` under "**name".

    Defaults are not filled in, so that a default that is changed later applies. Raises ArgumentsError.
    """
    if (names := names_of(job_class)) is not None:  # the rules of signature.bind(), in a twentieth of its time
        named = dict(zip(names.by_position, args, strict=False))
        if not kwargs:
            if names.fewest <= len(args) <= len(names.by_position):
                return named
        elif len(args) <= len(names.by_position) and named.keys().isdisjoint(kwargs):
            named.update(kwargs)
            if names.fit(named):
                return named
    signature = signature_of(job_class)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise ArgumentsError(
            f"{job_class.__name__}() cannot be called like this: {error}. Its parameters are {shown(signature)}."
        ) from None
    return {stored_name(signature.parameters[name]): value for name, value in bound.arguments.items()}


def rebuild(job_class: type, arguments: Mapping[str, Any]) -> object:
    """An instance, made by the constructor from stored arguments.

    Raises ArgumentsError if the names no longer fit. Errors of the constructor itself pass through.
    """
    if (migrate := getattr(job_class, MIGRATE, None)) is not None and trouble_with(job_class, arguments) is not None:
        arguments = migrated(job_class, migrate, arguments)
    if (names := names_of(job_class)) is not None and names.fit(arguments):
        return job_class(**arguments)
    positional, named = call_of(job_class, arguments)
    return job_class(*positional, **named)


def migrated(
    job_class: type, migrate: Callable[[dict[str, Any]], Any], arguments: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Arguments of an older form, converted by the class. Its own errors pass through."""
    answer = migrate(dict(arguments))
    if not isinstance(answer, Mapping):
        raise ArgumentsError(f"{job_class.__name__}.{MIGRATE}() returned {safe_repr(answer)}, not a dictionary.")
    return answer


def trouble_with(job_class: type, arguments: Mapping[str, Any]) -> ArgumentsError | None:
    """Why stored arguments do not fit the constructor's parameters. None if they do."""
    if (names := names_of(job_class)) is not None and names.fit(arguments):
        return None
    try:
        call_of(job_class, arguments)
    except ArgumentsError as error:
        return error
    return None


def check_stored(job_class: type, text: str) -> None:
    """Checks whether stored arguments would load, without making the job or loading the rows that they refer to.

    Raises ArgumentsError if they would not. Errors of the class's own `migrate_arguments` pass through.
    """
    arguments: Mapping[str, Any] = decode(text, row=lambda _codec, _stored: None)
    trouble = trouble_with(job_class, arguments)
    if trouble is not None and (migrate := getattr(job_class, MIGRATE, None)) is not None:
        trouble = trouble_with(job_class, migrated(job_class, migrate, arguments))
    if trouble is not None:
        raise trouble


def call_of(job_class: type, arguments: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Stored arguments in the form of a call."""
    remaining = dict(arguments)
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for parameter in signature_of(job_class).parameters.values():
        key = stored_name(parameter)
        if key not in remaining:
            if parameter.default is parameter.empty and not key.startswith("*"):
                raise misfit(job_class, f"{parameter.name} is missing")
            if parameter.kind in BY_POSITION:  # otherwise the next one would take its place
                positional.append(parameter.default)
            continue
        value = remaining.pop(key)
        match parameter.kind:
            case inspect.Parameter.POSITIONAL_ONLY | inspect.Parameter.POSITIONAL_OR_KEYWORD:
                positional.append(value)
            case inspect.Parameter.VAR_POSITIONAL:
                if not isinstance(value, list | tuple):
                    raise misfit(job_class, f"{key} is not a list")
                positional.extend(value)
            case inspect.Parameter.VAR_KEYWORD:
                if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
                    raise misfit(job_class, f"{key} is not a dictionary of names")
                if twice := value.keys() & own_names_of(job_class):
                    raise misfit(job_class, f"{', '.join(sorted(twice))} in {key} is a parameter of its own")
                named.update(value)
            case _:
                named[parameter.name] = value
    if remaining:
        raise misfit(job_class, f"there is no {', '.join(sorted(remaining))}")
    return positional, named


def misfit(job_class: type, trouble: str) -> ArgumentsError:
    return ArgumentsError(
        f"the stored arguments do not fit {job_class.__name__}(): {trouble}. "
        f"Its parameters are {shown(signature_of(job_class))}."
    )


@lru_cache(maxsize=1024)
def signature_of(job_class: type) -> inspect.Signature:
    constructor = job_class.__init__  # type: ignore[misc]  # the class's own is what is asked for
    if constructor is object.__init__:
        return inspect.Signature()
    first, *others = inspect.signature(constructor).parameters.values()
    # Without self, which a decorator's `*args` would take along.
    return inspect.Signature([first, *others] if first.kind is first.VAR_POSITIONAL else others)


class Names(NamedTuple):
    """The parameters of a constructor that takes each by its name, as nearly all do."""

    by_position: tuple[str, ...]
    fewest: int  # minimum number of arguments if none is given by name
    required: frozenset[str]
    all: frozenset[str]

    def fit(self, arguments: Mapping[str, Any]) -> bool:
        return self.required <= arguments.keys() <= self.all


@lru_cache(maxsize=1024)
def names_of(job_class: type) -> Names | None:
    """None if some parameters cannot be given by name."""
    taken = signature_of(job_class).parameters.values()
    if any(parameter.kind not in BY_NAME for parameter in taken):
        return None
    required = [parameter for parameter in taken if parameter.default is parameter.empty]
    by_name_only = any(parameter.kind is parameter.KEYWORD_ONLY for parameter in required)
    by_position = tuple(parameter.name for parameter in taken if parameter.kind in BY_POSITION)
    return Names(
        by_position,
        len(by_position) + 1 if by_name_only else len(required),
        frozenset(parameter.name for parameter in required),
        frozenset(parameter.name for parameter in taken),
    )


@lru_cache(maxsize=1024)
def own_names_of(job_class: type) -> frozenset[str]:
    """The names that `**kwargs` cannot hold, since a parameter has them: also self."""
    parameters = inspect.signature(job_class.__init__).parameters.values()  # type: ignore[misc]  # as above
    return frozenset(parameter.name for parameter in parameters if parameter.kind in BY_NAME)


def stored_name(parameter: inspect.Parameter) -> str:
    match parameter.kind:
        case inspect.Parameter.VAR_POSITIONAL:
            return f"*{parameter.name}"
        case inspect.Parameter.VAR_KEYWORD:
            return f"**{parameter.name}"
    return parameter.name


def shown(signature: inspect.Signature) -> str:
    return safe_text(lambda: str(signature), f"({', '.join(signature.parameters)})", 300)


def parameters(job_class: type) -> tuple[Parameter, ...]:
    """The constructor's parameters, in order."""
    return tuple(
        Parameter(
            name=parameter.name,
            kind=KINDS[parameter.kind],
            annotation=None if parameter.annotation is parameter.empty else annotation_text(parameter.annotation),
            default=None if parameter.default is parameter.empty else safe_repr(parameter.default),
            required=parameter.default is parameter.empty and not stored_name(parameter).startswith("*"),
        )
        for parameter in signature_of(job_class).parameters.values()
    )

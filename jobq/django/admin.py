"""Pages for jobs and results in Django's admin, with retry and cancel. Rows cannot be edited there."""

import json
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join

from jobq import observe, operate
from jobq.arguments import legible, without_secrets
from jobq.clean import line, plain
from jobq.django import database
from jobq.django.models import Job, Result
from jobq.errors import JobqError
from jobq.observe.words import many
from jobq.operate import Acted
from jobq.registry import registry
from jobq.states import Outcome, State
from jobq.store.database import default_database

MAX_COUNTED = 10_000
"""Maximum count, and the last reachable row: a table may hold millions."""

MAX_AT_ONCE = 10_000
"""Maximum number of jobs of one action: a request has to end. `jobq retry` and `jobq cancel` have no limit."""

SAMPLED = 1000
"""The queues of this many newest jobs are offered as filters."""


class BoundedPaginator(Paginator):
    """Counts only up to a limit."""

    @cached_property
    def count(self) -> int:
        counted: int = self.object_list.order_by()[:MAX_COUNTED].count()
        return counted


class QueueFilter(admin.SimpleListFilter):
    title = parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        newest = model_admin.get_queryset(request).values_list("queue", flat=True)[:SAMPLED]
        return [(name, line(name)) for name in sorted({*newest, *filter(None, [self.value()])})]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(queue=self.value()) if self.value() else queryset


class ClassFilter(admin.SimpleListFilter):
    title, parameter_name = "class", "class"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, line(name)) for name, _ in registry]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(job_class=self.value()) if self.value() else queryset


class StateFilter(admin.SimpleListFilter):
    title = parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state, state) for state in (State.SCHEDULED.value, State.PENDING.value, State.RUNNING.value)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(state=self.value()) if self.value() else queryset


class OutcomeFilter(admin.SimpleListFilter):
    title = parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(outcome.value, outcome.value) for outcome in Outcome]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(outcome=self.value()) if self.value() else queryset


class RecordedAdmin(admin.ModelAdmin):
    """The base of the two pages. Nobody may add, change or delete a row. Users with the right to change may act."""

    paginator = BoundedPaginator
    show_full_result_count = False
    list_per_page = 50
    list_max_show_all = 0
    sortable_by = ()  # sortable only by id or end, since no index serves another order
    search_fields = ("=id", "job_class", "=unique_key")
    search_help_text = "A number, a part of a class's name, or a unique key."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = self.model.rows.using(database.alias()).order_by(*self.ordering)
        return rows

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """By id if the text is a number: other columns have no index."""
        if search_term.isascii() and search_term.isdecimal():
            return queryset.filter(pk=min(int(search_term), 2**63 - 1)), False
        return super().get_search_results(request, queryset, search_term)  # type: ignore[no-any-return]

    def has_add_permission(self, request: HttpRequest, *_args: Any) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Without a row, the question is about the actions."""
        return obj is None and bool(super().has_change_permission(request))

    @admin.display(description="class")
    def shown_class(self, row: Any) -> str:
        return line(row.job_class)

    @admin.display(description="queue")
    def shown_queue(self, row: Any) -> str:
        return line(row.queue)

    @admin.display(description="arguments")
    def short_arguments(self, row: Any) -> str:
        return line(as_text(row.arguments), 120)

    @admin.display(description="arguments")
    def whole_arguments(self, row: Any) -> str:
        text: str = format_html("<pre>{}</pre>", plain(as_text(row.arguments, indent=2), 20_000))
        return text

    @admin.display(description="attempts")
    def attempts(self, row: Any) -> str:
        try:
            made = observe.show(default_database(), row.pk).attempts
        except JobqError as error:
            return plain(str(error))
        text: str = format_html_join("", "<pre>{}</pre>", ([described(attempt)] for attempt in made))
        return text

    def act(self, request: HttpRequest, queryset: QuerySet[Any], act: Callable[..., Acted], verb: str) -> None:
        """Does it to the chosen jobs in the name of this user, and shows the result."""
        ids = list(queryset.order_by("pk").values_list("pk", flat=True)[: MAX_AT_ONCE + 1])
        if len(ids) > MAX_AT_ONCE:
            text = f"More than {MAX_AT_ONCE:,} jobs are selected. Choose fewer, or use the command: jobq {verb}."
            self.message_user(request, text, messages.ERROR)
            return
        try:
            with operate.acting_as(f"{request.user.get_username()} (admin)"):
                acted = act(default_database(), ids)
        except JobqError as error:
            self.message_user(request, plain(str(error)), messages.ERROR)
            return
        for level, text in told(acted, verb):
            self.message_user(request, text, level)


@admin.register(Job)
class JobAdmin(RecordedAdmin):
    ordering = ("-id",)
    list_display = (
        *("id", "shown_class", "short_arguments", "shown_queue", "priority", "state", "attempt", "run_at"),
        "enqueued_at",
    )
    list_filter = (StateFilter, QueueFilter, ClassFilter)
    fields = readonly_fields = (
        *("id", "shown_class", "state", "shown_queue", "priority", "attempt", "retries", "unique_key"),
        *("enqueued_at", "run_at", "started_at", "cancel_requested_by", "source", "whole_arguments", "attempts"),
    )
    actions = ("cancel",)

    @admin.action(description="Cancel the selected jobs", permissions=["change"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self.act(request, queryset, operate.cancel, "cancel")


@admin.register(Result)
class ResultAdmin(RecordedAdmin):
    ordering = ("-ended_at", "-id")
    list_display = (
        *("id", "shown_class", "short_arguments", "shown_queue", "outcome", "attempt", "shown_error", "started_at"),
        "ended_at",
    )
    list_filter = (OutcomeFilter, QueueFilter, ClassFilter)
    fields = readonly_fields = (
        *("id", "shown_class", "outcome", "shown_queue", "priority", "attempt", "retries", "unique_key"),
        *("enqueued_at", "run_at", "started_at", "ended_at", "source", "whole_arguments", "attempts"),
    )
    actions = ("retry",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).filter(retried=False)

    @admin.display(description="error")
    def shown_error(self, row: Any) -> str:
        return line(f"{row.error_type}: {row.error_message}", 120) if row.error_type else ""

    @admin.action(description="Retry the selected jobs", permissions=["change"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self.act(request, queryset, operate.retry, "retry")


def as_text(stored: str, indent: int | None = None) -> str:
    """Stored arguments for display: as JSON, without secrets."""
    return json.dumps(without_secrets(legible(stored)), ensure_ascii=False, indent=indent)


def described(attempt: Any) -> str:
    """One attempt in a few lines."""
    head = f"attempt {attempt.attempt}: {attempt.outcome} at {attempt.ended_at:%Y-%m-%d %H:%M:%S %Z}"
    value = None if attempt.value is None else f"returned {json.dumps(attempt.value, ensure_ascii=False)}"
    error = attempt.traceback or (f"{attempt.error_type}: {attempt.error_message}" if attempt.error_type else None)
    where = f"on {attempt.worker}" if attempt.worker else None
    return plain("\n".join(part for part in (head, where, value, error) if part), 20_000)


def told(acted: Acted, verb: str) -> Iterable[tuple[int, str]]:
    done = {"retry": "queued again", "cancel": "cancelled"}[verb]
    if acted.done:
        yield messages.SUCCESS, f"{many(len(acted.done), 'job')} {done}."
    if acted.asked:
        yield messages.SUCCESS, f"{many(len(acted.asked), 'job')} asked to stop."
    for job_id, why in list(acted.skipped.items())[:10]:
        yield messages.WARNING, f"Job {job_id} was left as it is: {why}."

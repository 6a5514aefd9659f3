"""The tables of jobs and results as Django models, for the admin pages: read-only."""

from django.db import models

from jobq.settings import load
from jobq.store.statements import quote_identifier


def table(name: str) -> str:
    """A table of jobq's schema. Django does not quote a name that is quoted already."""
    return f"{quote_identifier(load().schema)}.{quote_identifier(name)}"


class NotDumped(models.Manager):
    """The default manager, which `dumpdata` uses: a fixture must hold no secrets, and loading one must not enqueue
    jobs."""

    def get_queryset(self) -> models.QuerySet:
        return super().get_queryset().none()


class Recorded(models.Model):
    """The base of the two tables."""

    nothing = NotDumped()
    rows = models.Manager()

    id = models.BigIntegerField(primary_key=True)
    job_class = models.TextField("class")
    queue = models.TextField()
    priority = models.SmallIntegerField()
    attempt = models.IntegerField()
    retries = models.IntegerField()
    unique_key = models.TextField(null=True)
    arguments = models.TextField()  # JSON as text: it is untrusted, and read with care
    enqueued_at = models.DateTimeField()
    run_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    source = models.TextField(null=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.id} {self.job_class}"


class Job(Recorded):
    """An unfinished job."""

    state = models.TextField()
    cancel_requested_by = models.TextField(null=True)

    class Meta:
        managed = False
        db_table = table("jobs")
        verbose_name = "job"
        default_permissions = ("view", "change")


class Result(Recorded):
    """The last attempt of a finished job."""

    outcome = models.TextField()
    ended_at = models.DateTimeField()
    retried = models.BooleanField()
    error_type = models.TextField(null=True)
    error_message = models.TextField(null=True)

    class Meta:
        managed = False
        db_table = table("results")
        verbose_name = "result"
        default_permissions = ("view", "change")

"""The application for Django: sets jobq up when a process starts."""

from django.apps import AppConfig
from django.core import checks
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate


class JobqConfig(AppConfig):
    name = "jobq.django"
    label = "jobq"
    verbose_name = "Background jobs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from jobq.django.checks import check_tables
        from jobq.django.database import follow, use
        from jobq.django.discovery import discover
        from jobq.django.migrating import bring_up_to_date

        use()
        connection_created.connect(follow, dispatch_uid="jobq")
        post_migrate.connect(bring_up_to_date, sender=self, dispatch_uid="jobq")
        checks.register(check_tables, checks.Tags.database)
        discover()

"""The admin pages of jobs and results, as a person sees them in the browser: one run of the project's own tests."""

from typing import TYPE_CHECKING

import pytest

from tests.application.django_project import Project, prepared

if TYPE_CHECKING:
    from conftest import Application

PAGES = """
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import TransactionTestCase

from jobq import Secret, observe
from jobq.django import admin
from jobq.store.database import default_database
from jobq.testing import run_due_jobs
from shop.jobs import Ship
from shop.models import Order
from shop.tasks import fail, report, welcome


class Pages(TransactionTestCase):
    def setUp(self):
        self.client.force_login(User.objects.create_superuser("ada"))

    def log_in(self, *permissions):
        user = User.objects.create_user("eve", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        self.client.force_login(user)

    def page(self, path, status=200):
        response = self.client.get(f"/admin/jobq/{path}")
        self.assertEqual(response.status_code, status)
        return response.content.decode()

    def act(self, path, action, *ids):
        chosen = {"action": action, "_selected_action": [str(id) for id in ids]}
        response = self.client.post(f"/admin/jobq/{path}/", chosen, follow=True)
        return [str(message) for message in response.context["messages"]]

    def test_jobs_are_shown_as_data_and_without_secrets(self):
        job = Ship(Order.objects.create(customer="x"), Secret("open-sesame")).run_in_worker()
        welcome.enqueue("<script>alert(1)</script>\\x1b[31m")
        listed, detail = self.page("job/"), self.page(f"job/{job.id}/change/")
        for shown in (listed, detail):
            self.assertNotIn("open-sesame", shown)
            self.assertIn("•••", shown)
        self.assertNotIn("<script>alert", listed)
        self.assertIn("&lt;script&gt;alert(1)", listed)
        self.assertNotIn("\\x1b", listed)
        self.assertNotIn('name="_save"', detail)

    def test_jobs_are_found_by_queue_state_class_number_and_key(self):
        one, two = report.enqueue(1), welcome.enqueue("ada")
        for query, ids in (
            ("queue=mail", [two.id]), ("state=running", []), ("state=pending", [two.id, one.id]),
            ("class=shop.tasks.report", [one.id]), (f"q={one.id}", [one.id]), ("q=report-1", [one.id]),
            ("q=welc", [two.id]), ("q=99999999999999999999999", []), ("p=7", [two.id, one.id]),
        ):
            with self.subTest(query):
                response = self.client.get(f"/admin/jobq/job/?{query}", follow=True)
                self.assertEqual([str(row.pk) for row in response.context["cl"].result_list], ids)

    def test_nothing_is_counted_further_than_it_must(self):
        for number in range(5):
            report.enqueue(number)
        admin.MAX_COUNTED, before = 3, admin.MAX_COUNTED
        self.addCleanup(setattr, admin, "MAX_COUNTED", before)
        with self.assertNumQueries(5) as queries:
            response = self.client.get("/admin/jobq/job/")
        self.assertEqual(response.context["cl"].paginator.count, 3)
        counts = [query["sql"] for query in queries if "COUNT" in query["sql"]]
        self.assertTrue(all("LIMIT 3" in count for count in counts), counts)
        self.assertTrue(counts)

    def test_a_waiting_job_is_cancelled_in_the_name_of_the_user(self):
        job, other = report.enqueue(1), report.enqueue(2)
        self.assertEqual(self.act("job", "cancel", job.id), ["1 job cancelled."])
        job.refresh(), other.refresh()
        self.assertEqual((job.status, other.status), ("FAILED", "READY"))
        (act,) = observe.audit(default_database())
        self.assertEqual((act.who, act.verb, act.ids), ("ada (admin)", "cancel", (int(job.id),)))
        self.assertIn("cancelled by ada (admin)", self.page(f"result/{job.id}/change/"))

    def test_a_failed_job_is_retried_with_its_errors_kept(self):
        job = fail.using(retries=1).enqueue("<b>no money</b>")
        run_due_jobs(raise_errors=False)
        listed = self.page("result/")
        self.assertIn("ValueError: &lt;b&gt;no money&lt;/b&gt;", listed)
        self.assertNotIn("<b>no money", listed)
        detail = self.page(f"result/{job.id}/change/")
        self.assertEqual(detail.count("Traceback (most recent call last)"), 2)
        self.assertEqual(self.act("result", "retry", job.id), ["1 job queued again."])
        job.refresh()
        self.assertEqual((job.status, job.attempts), ("READY", 2))
        self.assertEqual(self.page("result/").count("no money"), 0)
        self.assertIn(job.id, self.page("job/"))
        (skipped,) = self.act("job", "cancel", 1 << 40)[:1] or ["nothing was selected"]
        self.assertEqual(skipped, "nothing was selected")

    def test_who_may_view_may_neither_act_nor_change(self):
        job = report.enqueue(1)
        self.log_in("view_job")
        self.assertNotIn("Cancel the selected jobs", self.page("job/"))
        self.act("job", "cancel", job.id)
        job.refresh()
        self.assertEqual(job.status, "READY")
        self.page("result/", status=403)

    def test_nobody_writes_a_row(self):
        job = report.enqueue(1)
        for path in (f"job/{job.id}/change/", "job/add/", f"job/{job.id}/delete/"):
            self.assertEqual(self.client.post(f"/admin/jobq/{path}", {"queue": "mine", "post": "yes"}).status_code, 403)
        self.assertNotIn("delete_selected", self.page("job/"))
        self.log_in("change_job")
        self.assertIn("Cancel the selected jobs", self.page("job/"))
        self.assertEqual(self.act("job", "cancel", job.id), ["1 job cancelled."])

    def test_an_act_on_too_many_is_refused(self):
        job = report.enqueue(1)
        admin.MAX_AT_ONCE, before = 0, admin.MAX_AT_ONCE
        self.addCleanup(setattr, admin, "MAX_AT_ONCE", before)
        (told,) = self.act("job", "cancel", job.id)
        self.assertIn("More than 0 jobs are selected", told)
"""


@pytest.fixture
def project(application: "Application", database_url: str, monkeypatch: pytest.MonkeyPatch) -> Project:
    return prepared(Project(application), database_url, monkeypatch)


def test_the_admin_pages_show_jobs_and_act_on_them_for_those_who_may(project: Project) -> None:
    project.application.write("shop/tests.py", PAGES)

    done = project.manage("test")

    assert "Ran 8 tests" in done.stderr

import os
import signal
import time

import django

if django.VERSION >= (6, 0):
    from django.tasks import task
else:
    from django_tasks import task

from shop.models import Order


@task(queue_name="mail", retries=2, priority=10)
def welcome(customer: str, *, copies: int = 1):
    return {"customer": customer, "copies": copies, "orders": Order.objects.filter(customer=customer).count()}


@task(takes_context=True)
def identify(context, name="nobody"):
    result = context.task_result
    return [result.id, context.attempt, name, result.status, result.worker_ids[-1]]


@task
async def count():
    return await Order.objects.acount()


@task(retries=1)
def fail(message):
    raise ValueError(message)


@task(unique_key=lambda number: f"report-{number}")
def report(number):
    return number


@task(schedule="0 9 * * *", timeout=60)
def every_morning():
    """Says good morning."""


@task
def returns_what_is_no_json():
    return object()


@task
def killed():
    os.kill(os.getpid(), signal.SIGKILL)


@task(timeout=0.2)
def hangs():
    time.sleep(60)


if seen := os.environ.get("SHOP_SIGNALS"):
    from jobq.django.task_api import signals

    def note(sender, task_result, signal, **kwargs):
        name = next(name for name in ("enqueued", "started", "finished") if getattr(signals, f"task_{name}") is signal)
        with open(seen, "a") as file:
            file.write(f"{task_result.task.name} {name} {task_result.status} {sender.__name__}\n")

    for each in (signals.task_enqueued, signals.task_started, signals.task_finished):
        each.connect(note, weak=False)


@task(unique_key="refresh", on_held="rerun")
def refresh(number):
    return number

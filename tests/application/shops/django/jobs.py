import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
django.setup()

from django.db import connection, transaction  # noqa: E402
from shop.models import Order  # noqa: E402

from jobq import Job, register_job  # noqa: E402


@register_job
class Ship(Job):
    def __init__(self, order: Order):
        self.order = order

    def run(self):
        with transaction.atomic():
            self.order.shipped = True
            self.order.save()
            self.complete(connection, self.order.customer)

    def get_retries(self):
        return 3

from jobq import Job, Secret, register_job
from shop.models import Order


@register_job
class Ship(Job):
    def __init__(self, order: Order, key: Secret | None = None):
        self.order = order
        self.key = key

    def run(self):
        self.order.shipped = True
        self.order.save()
        return self.order.customer

from jobq import Job, register_job
from shop.models import Order


@register_job
class Ship(Job):
    def __init__(self, order: Order):
        self.order = order

    def run(self):
        self.order.shipped = True
        self.order.save()
        Thank(self.order.customer).run_in_worker(delay=3600)


@register_job
class Thank(Job):
    def __init__(self, customer: str):
        self.customer = customer

    def run(self):
        return f"thank you, {self.customer}"

from shop import Order, Session

from jobq import Job, register_job


@register_job
class Ship(Job):
    def __init__(self, order: Order):
        self.order = order

    def run(self):
        with Session.begin() as session:
            order = session.merge(self.order)
            order.shipped = True
            self.complete(session, self.order.customer.name)

    def get_retries(self):
        return 3

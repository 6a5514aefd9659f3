import asyncio

from sqlalchemy import select

from jobq import Job, job, register_job
from shop.models import Order, Session


@register_job
class Ship(Job):
    """Ships an order as soon as the carrier has sent its label."""

    def __init__(self, order: Order):
        self.order = order

    def get_retries(self):
        return 1

    def get_retry_delay(self, attempt):
        return 0.1

    async def run(self):
        async with Session.begin() as session:
            session.add(self.order)
            self.order.tries += 1
        if not self.order.address:
            raise LookupError(f"{self.order.customer} has no address")
        label = await label_of(self.order)
        async with Session.begin() as session:
            session.add(self.order)
            self.order.status = "shipped"
            await self.complete_async(session, f"{label} to {self.order.address}")


async def label_of(order: Order):
    while True:
        async with Session() as session:
            if label := await session.scalar(select(Order.label).where(Order.id == order.id)):
                return label
        await asyncio.sleep(0.05)


@job
def price(items: int, each: int = 7):
    """Calculates the price of an order."""
    return {"total": items * each}

from shop import Session
from sqlalchemy import text

from jobq import Job, register_job


@register_job
class Ship(Job):
    def __init__(self, customer: str):
        self.customer = customer

    async def run(self):
        async with Session.begin() as session:
            await session.execute(
                text("UPDATE orders SET shipped = true WHERE customer = :customer"), {"customer": self.customer}
            )
            await self.complete_async(session, self.customer)


@register_job
class Hello(Job):
    async def run(self):
        return "hello"

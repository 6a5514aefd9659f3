"""`python -m shop.tables` creates the tables."""

import asyncio

from shop.models import Base, engine


async def create():
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)


if __name__ == "__main__":
    asyncio.run(create())

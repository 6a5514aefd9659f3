"""A FastAPI application with SQLAlchemy's asynchronous sessions; a job completes itself in one of them."""

import os
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.pool import NullPool

parts = conninfo_to_dict(os.environ["JOBQ_DATABASE_URL"])
engine = create_async_engine(
    URL.create(
        "postgresql+psycopg",
        parts.get("user"),
        database=parts["dbname"],
        query={name: parts[name] for name in ("host", "port", "password") if name in parts},
    ),
    poolclass=NullPool,
)
Session = async_sessionmaker(engine)


@asynccontextmanager
async def lifespan(app):
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.post("/orders/{customer}")
async def place(customer: str, fails: bool = False):
    from jobs import Ship

    async with Session.begin() as session:
        await session.execute(text("INSERT INTO orders (customer) VALUES (:customer)"), {"customer": customer})
        record = await Ship(customer).run_in_worker_async(connection=session)
        if fails:
            raise ValueError("no money")
    return {"job": record.id, "state": record.state}


@app.post("/hello")
async def hello():
    from jobs import Hello

    record = await Hello().run_in_worker_async(priority=3)
    return {"job": record.id}


async def main():
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE orders (customer text, shipped boolean DEFAULT false)"))
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        for path in ("/orders/ada", "/orders/bob?fails=true", "/hello"):
            answer = await client.post(path)
            print(path, answer.status_code)

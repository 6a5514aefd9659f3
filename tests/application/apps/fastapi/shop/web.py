import os
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

import jobq
from shop.jobs import Ship, price
from shop.models import Order, Session, engine


@asynccontextmanager
async def lifespan(app):
    if os.environ.get("JOBQ_ENV") == "production":  # `jobq run` is a service of its own there
        yield
    else:
        async with jobq.worker():
            yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


async def session_of_request():
    async with Session.begin() as session:
        yield session


InSession = Annotated[AsyncSession, Depends(session_of_request, scope="function")]


class NewOrder(BaseModel):
    customer: str
    address: str = "Main Street 1"
    items: int = 1


class Change(BaseModel):
    address: str | None = None
    label: str | None = None


class ShownOrder(BaseModel):
    id: int
    customer: str
    status: str
    tries: int


@app.post("/orders", status_code=201)
async def place(new: NewOrder, session: InSession):
    order = Order(customer=new.customer, address=new.address)
    session.add(order)
    await session.flush()
    record = await Ship(order).run_in_worker_async(connection=session)
    if new.items < 1:
        raise HTTPException(422, "an order has at least one item")
    return {"id": order.id, "job": record.id}


@app.get("/orders/{order_id}", response_model=ShownOrder)
async def show(order_id: int, session: InSession):
    if (order := await session.get(Order, order_id)) is None:
        raise HTTPException(404)
    return order


@app.patch("/orders/{order_id}", response_model=ShownOrder)
async def change(order_id: int, change: Change, session: InSession):
    order = await session.get_one(Order, order_id)
    for name, value in change.model_dump(exclude_unset=True).items():
        setattr(order, name, value)
    return order


@app.get("/price/{items}")
async def show_price(items: int):
    record = await price.later_async(items)
    attempt = await record.wait_async(timeout=30)
    return attempt.value

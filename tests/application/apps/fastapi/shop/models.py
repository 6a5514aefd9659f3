import os

from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import jobq

engine = create_async_engine(os.environ["DATABASE_URL"])  # postgresql+asyncpg://…
Session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[str]
    address: Mapped[str]
    label: Mapped[str | None]  # the carrier sends it
    status: Mapped[str] = mapped_column(default="placed")
    tries: Mapped[int] = mapped_column(default=0)


jobq.use_sqlalchemy(Session, Base)

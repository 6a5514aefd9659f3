"""An application with SQLAlchemy: an order is placed and its job enqueued in one transaction."""

import os

from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import URL, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, sessionmaker
from sqlalchemy.schema import ForeignKey

from jobq.references import use_sqlalchemy

parts = conninfo_to_dict(os.environ["JOBQ_DATABASE_URL"])
engine = create_engine(
    URL.create(
        "postgresql+psycopg",
        parts.get("user"),
        database=parts["dbname"],
        query={name: parts[name] for name in ("host", "port", "password") if name in parts},
    )
)
Session = sessionmaker(engine)


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    customer: Mapped[Customer] = relationship()
    shipped: Mapped[bool] = mapped_column(default=False)


use_sqlalchemy(Session, Base)


def place(name, *, fails=False):
    from jobs import Ship

    with Session.begin() as session:
        order = Order(customer=Customer(name=name))
        session.add(order)
        session.flush()
        Ship(order).run_in_worker(connection=session)
        if fails:
            raise ValueError("no money")

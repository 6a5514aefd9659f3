"""An application with SQLAlchemy: an order is placed and its job enqueued in one transaction, which it commits."""

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from jobq import Job, register_job
from jobq.references import use_sqlalchemy

Session = sessionmaker()


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[str]
    shipped: Mapped[bool] = mapped_column(default=False)


use_sqlalchemy(Session, Base)


@register_job
class Ship(Job):
    def __init__(self, order: Order):
        self.order = order

    def run(self):
        with Session.begin() as session:
            session.merge(self.order).shipped = True


def place(customer):
    with Session.begin() as session:
        order = Order(customer=customer)
        session.add(order)
        session.flush()
        Ship(order).run_in_worker(connection=session)

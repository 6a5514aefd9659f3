"""An application with SQLAlchemy: an order is placed and its job enqueued in one transaction, which it commits."""

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from jobq import Job, register_job


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[str]


@register_job
class Ship(Job):
    def __init__(self, order_id: int):
        self.order_id = order_id

    def run(self):
        return f"shipped {self.order_id}"


def place(session, customer):
    order = Order(customer=customer)
    session.add(order)
    session.flush()
    Ship(order.id).run_in_worker(connection=session)
    session.commit()
    return order

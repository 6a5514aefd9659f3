import time
from pathlib import Path

from jobq import Job, job, register_job, use_flask, use_sqlalchemy
from shop import create_app
from shop.models import Order, db

use_flask(create_app)
use_sqlalchemy(db.session, db.Model)


@register_job
class Ship(Job):
    def __init__(self, order: Order):
        self.order = order

    def run(self):
        self.order.status = f"shipped to {self.order.customer}"
        db.session.commit()
        return "shipped"


@job(queue="mail", retries=2, retry_delay=0)
def send_receipt(order_id: int):
    order = db.session.get_one(Order, order_id)
    order.receipts += 1
    db.session.flush()
    if order.customer == "flaky" and not Path("mail.is.up").exists():
        Path("mail.is.up").touch()
        raise ConnectionError("the mail server is down")  # and the receipt is not counted
    db.session.commit()
    return order.receipts


@job(queue="packing")
def pack(order_id: int):
    order = db.session.get_one(Order, order_id)
    order.packed += 1
    db.session.commit()
    while not Path("box").exists():
        time.sleep(0.02)
    return order.packed

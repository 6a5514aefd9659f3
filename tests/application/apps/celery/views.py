from datetime import timedelta

from jobs import charge, remind
from shop import connect

import jobq


def place_order(order, cents):
    with connect() as connection:
        connection.execute("INSERT INTO orders VALUES (%s, %s)", [order, cents])
        payment = charge.options(connection=connection, priority=9).later(order)
        remind.options(connection=connection, delay=timedelta(days=1), expires=timedelta(days=2)).later(order)
    return payment.id


def receipt_of(payment):
    attempt = jobq.get(payment).wait(timeout=10)
    if attempt.outcome != "successful":
        raise RuntimeError(f"{attempt.error_type}: {attempt.error_message}")
    return attempt.value

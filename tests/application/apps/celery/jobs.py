import logging

import gateway
from shop import connect, mail

import jobq
from jobq import Fail, JobTimedOut, Schedule, job
from jobq.retries import exponential

log = logging.getLogger(__name__)
logging.basicConfig(level=logging.INFO)


@job(queue="payments", retries=5, retry_delay=lambda attempt: exponential(attempt, first=2, most=600))
def charge(order: int):
    log.info("attempt %s to charge order %s", jobq.current().job.attempt, order)
    with connect() as connection:
        (cents,) = connection.execute("SELECT cents FROM orders WHERE id = %s", [order]).fetchone()
        try:
            receipt = gateway.charge(order, cents)
        except gateway.Declined as declined:
            raise Fail(str(declined)) from declined
        connection.execute("UPDATE orders SET receipt = %s WHERE id = %s", [receipt, order])
        send_receipt.options(connection=connection).later(order)
        jobq.current().complete(connection, receipt)


@job(queue="mail")
def send_receipt(order: int):
    mail(order, "receipt")


@job(queue="mail")
def remind(order: int):
    mail(order, "reminder")


@job(queue="exports", timeout=20)
def export():
    with connect() as connection:
        receipts = connection.execute("SELECT receipt FROM orders WHERE receipt IS NOT NULL ORDER BY id").fetchall()
    lines = []
    try:
        for (number,) in receipts:
            lines.append(gateway.receipt(number))
    except JobTimedOut:
        log.warning("no time for the rest of %s receipts", len(receipts))
    return lines


@job(schedule=Schedule.from_cron("30 3 * * *", timezone="Europe/Berlin"))
def drop_old_carts():
    with connect() as connection:
        return connection.execute("DELETE FROM carts WHERE touched_at < now() - interval '30 days'").rowcount

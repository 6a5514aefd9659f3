"""A Flask application."""

from flask import Flask

from jobq import Job, register_job

app = Flask(__name__)
receipts = []


@register_job
class SendReceipt(Job):
    def __init__(self, order: int):
        self.order = order

    def run(self):
        if self.order == 0:
            raise ValueError("order 0 is not there")
        receipts.append(self.order)


@app.post("/orders/<int:number>")
def place(number: int):
    record = SendReceipt(number).run_in_worker(queue="mail")
    return {"job": record.id}

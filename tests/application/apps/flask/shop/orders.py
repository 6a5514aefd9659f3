from flask import Blueprint, abort, request

from shop.models import Order, db

blueprint = Blueprint("orders", __name__)


@blueprint.post("/orders")
def place():
    from shop.jobs import Ship, send_receipt

    order = Order(customer=request.json["customer"])
    db.session.add(order)
    db.session.flush()
    shipping = Ship(order).run_in_worker(connection=db.session)
    send_receipt.options(connection=db.session).later(order.id)
    if request.json.get("card") == "declined":
        abort(400)  # nothing was committed: neither the order nor its jobs are there
    db.session.commit()
    return {"order": order.id, "job": shipping.id}, 201


@blueprint.get("/orders/<int:order_id>")
def show(order_id):
    order = db.get_or_404(Order, order_id)
    return {"customer": order.customer, "status": order.status, "receipts": order.receipts}

"""What happens in the shop: orders are placed, each with its job in one transaction."""

from django.db import connection, transaction
from jobs import Order, Ship


def place(customer, *, fails=False):
    with transaction.atomic():
        Ship(Order.objects.create(customer=customer)).run_in_worker(connection=connection)
        if fails:
            raise ValueError("no money")


with connection.schema_editor() as editor:
    editor.create_model(Order)
place("ada")
try:
    place("bob", fails=True)
except ValueError:
    print("nothing was placed for bob")
place("eve")
Order.objects.filter(customer="eve").delete()

from django.db import connection, transaction
from django.http import HttpResponse
from django.urls import path

from shop.jobs import Ship
from shop.models import Order


def place(request, customer):
    with transaction.atomic():
        Ship(Order.objects.create(customer=customer)).run_in_worker(connection=connection)
    return HttpResponse("placed")


urlpatterns = [path("orders/<customer>", place)]

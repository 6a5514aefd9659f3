"""The shop's tables, and connections to them."""

import os

import psycopg

TABLES = """
CREATE TABLE orders (id integer PRIMARY KEY, cents integer NOT NULL, receipt text);
CREATE TABLE mails (order_id integer NOT NULL, kind text NOT NULL);
CREATE TABLE carts (id integer PRIMARY KEY, touched_at timestamptz NOT NULL);
"""


def connect():
    return psycopg.connect(os.environ["DATABASE_URL"])


def mail(order, kind):
    with connect() as connection:
        connection.execute("INSERT INTO mails VALUES (%s, %s)", [order, kind])

import os

from flask import Flask
from flask_migrate import Migrate

from shop import orders
from shop.models import db


def only_the_shops(name, kind, parents):
    """Alembic compares no schema but the shop's own: not jobq's."""
    return kind != "schema" or name in (None, "accounts")


def create_app(**config):
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
    app.config.update(config)
    db.init_app(app)
    Migrate(app, db, include_schemas=True, include_name=only_the_shops)
    app.register_blueprint(orders.blueprint)
    return app

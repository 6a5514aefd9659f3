import os

from psycopg.conninfo import conninfo_to_dict

parts = conninfo_to_dict(os.environ["JOBQ_DATABASE_URL"])

INSTALLED_APPS = ["shop"]
ROOT_URLCONF = "shop.urls"
SECRET_KEY = "of a test"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts["dbname"],
        "USER": parts.get("user", ""),
        "HOST": parts.get("host", ""),
        "PORT": parts.get("port", ""),
        "PASSWORD": parts.get("password", ""),
    }
}

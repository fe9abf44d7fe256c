"""A PostgreSQL as its administrator meets it, who may do what no role of ours may."""

import psycopg
from sqlalchemy import make_url


def as_owner(admin_url: str, *, database: str = "kairos") -> psycopg.Connection:
    """Connect, each statement a transaction of its own."""
    url = make_url(admin_url).set(drivername="postgresql", database=database)
    return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)

"""Set-up of a PostgreSQL server: roles, databases, then the migrations, each safe to repeat.

Four databases live in one server, one for each program that runs its own migrations. The application's role
neither owns a table nor bypasses row-level security.
"""

from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from psycopg import sql
from sqlalchemy import NullPool, create_engine, text

from adapters.postgres.engine import CONNECT_TIMEOUT_SECONDS, driver_url
from adapters.postgres.roles import PLATFORM_DATABASES, DatabaseUrls

LOCK_TIMEOUT = "5s"
"""A migration that cannot have its lock soon gives up: waiting would queue every reader behind it."""

STATEMENT_TIMEOUT = "30min"
"""An index over everything may take long, and a start waits for the migrations of another; neither for ever."""


def prepare(admin_url: str, urls: DatabaseUrls) -> None:
    """Create what is missing and migrate to the newest schema.

    Args:
        admin_url: a role that may create roles and databases, on any database of the server.
        urls: the connections the programs will use afterwards.
    """
    with psycopg.connect(_plain(admin_url), autocommit=True, connect_timeout=CONNECT_TIMEOUT_SECONDS) as admin:
        _create_roles(admin, urls)
        _create_databases(admin, urls)
    migrate(admin_url, urls.database)


def migrate(admin_url: str, database: str, revision: str = "head") -> None:
    """Bring one database of Kairos to a revision of the schema."""
    engine = create_engine(
        driver_url(admin_url).set(database=database),
        poolclass=NullPool,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "options": f"-c statement_timeout={STATEMENT_TIMEOUT}",
        },
    )
    try:
        with engine.begin() as connection:
            connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
            # One migration at a time: two starts on one server wait for each other here.
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('kairos.migrate'))"))
            connection.execute(text("SET ROLE kairos_owner"))
            config = Config()
            config.set_main_option("script_location", str(Path(__file__).parents[2] / "migrations"))
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
    finally:
        engine.dispose()


def _create_roles(admin: psycopg.Connection, urls: DatabaseUrls) -> None:
    _role(admin, "kairos_owner", "NOLOGIN BYPASSRLS", None)
    _role(admin, "kairos_app", "NOLOGIN", None)
    _role(admin, "kairos_batch", "NOLOGIN BYPASSRLS", None)
    _role(admin, urls.app_role.user, "LOGIN", urls.app_role.password)
    _role(admin, urls.batch_role.user, "LOGIN BYPASSRLS", urls.batch_role.password)
    _role(admin, urls.platform_role.user, "LOGIN", urls.platform_role.password)
    for member, group in ((urls.app_role.user, "kairos_app"), (urls.batch_role.user, "kairos_batch")):
        if member != group:
            admin.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), sql.Identifier(member)))
    # Whoever migrates acts as the owner; a superuser may already, others need to be told.
    admin.execute("GRANT kairos_owner TO CURRENT_USER WITH SET TRUE")


def _role(admin: psycopg.Connection, name: str, attributes: str, password: str | None) -> None:
    known = admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone()
    if known and password is None:
        return
    verb = sql.SQL("ALTER ROLE {} {}" if known else "CREATE ROLE {} {}")
    statement = verb.format(sql.Identifier(name), sql.SQL(attributes))
    if password is not None:
        statement += sql.SQL(" PASSWORD {}").format(sql.Literal(password))
    admin.execute(statement)


def _create_databases(admin: psycopg.Connection, urls: DatabaseUrls) -> None:
    owners = {urls.database: "kairos_owner", **dict.fromkeys(PLATFORM_DATABASES, urls.platform_role.user)}
    known = {name for (name,) in admin.execute("SELECT datname FROM pg_database")}
    for database, owner in owners.items():
        if database not in known:
            admin.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(owner)))
            statement = "CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0"
            admin.execute(sql.SQL(statement).format(sql.Identifier(database), sql.Identifier(owner)))


def _plain(url: str) -> str:
    return driver_url(url).set(drivername="postgresql").render_as_string(hide_password=False)

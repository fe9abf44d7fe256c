"""``kairos migrate``: creates what a PostgreSQL server lacks for Kairos and brings the schema up to date.

For a server of yours; the embedded one is brought up to date by every start. Exit codes: 0 up to date, 2 no URL.
"""

import typer

from cli.exit_codes import ExitCode, Refused


def migrate() -> None:
    """Bring the PostgreSQL server of the settings to the newest schema."""
    from adapters.postgres.migrate import prepare
    from adapters.postgres.roles import DatabaseUrls
    from adapters.secrets import SecretBox
    from adapters.settings import load_settings

    settings = load_settings()
    if settings.postgres_url is None or settings.postgres_admin_url is None:
        needed = "KAIROS_POSTGRES_URL and KAIROS_POSTGRES_ADMIN_URL name the server and a role that may create roles"
        raise Refused(f"{needed}; the embedded server needs neither and is migrated by: kairos up", ExitCode.USAGE)
    urls = DatabaseUrls.external(settings.postgres_url.get_secret_value(), SecretBox.of(settings))
    prepare(settings.postgres_admin_url.get_secret_value(), urls)
    typer.echo("the schema is up to date")

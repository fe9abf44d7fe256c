"""Who connects to PostgreSQL as whom: the application, the assets, and the platform's own programs.

``kairos_app`` obeys row-level security, ``kairos_batch`` reads every tenant and writes none, ``kairos_platform``
owns the databases of Dagster, MLflow and Feast and cannot reach ours.
"""

from dataclasses import dataclass

from sqlalchemy import URL

from adapters.postgres.engine import driver_url
from adapters.secrets import SecretBox

KAIROS_DATABASE = "kairos"
PLATFORM_DATABASES = ("dagster", "mlflow", "feast")


@dataclass(frozen=True)
class Role:
    """A login: its name and its password."""

    user: str
    password: str


@dataclass(frozen=True)
class DatabaseUrls:
    """The connections to one server, one for each part of Kairos."""

    server: URL
    database: str
    app_role: Role
    batch_role: Role
    platform_role: Role

    @classmethod
    def embedded(cls, admin_url: str, box: SecretBox) -> "DatabaseUrls":
        """Return the connections to a server of ours; every password is derived from the master secret."""
        return cls(
            server=driver_url(admin_url),
            database=KAIROS_DATABASE,
            app_role=_derived("kairos_app", box),
            batch_role=_derived("kairos_batch", box),
            platform_role=_derived("kairos_platform", box),
        )

    @classmethod
    def external(cls, app_url: str, box: SecretBox) -> "DatabaseUrls":
        """Return the connections to a server of yours, given the URL of the application's role."""
        url = driver_url(app_url)
        return cls(
            server=url,
            database=url.database or KAIROS_DATABASE,
            app_role=Role(url.username or "kairos_app", str(url.password or "")),
            batch_role=_derived("kairos_batch", box),
            platform_role=_derived("kairos_platform", box),
        )

    @property
    def app(self) -> str:
        """The application: forced row-level security."""
        return self._url(self.app_role, self.database)

    @property
    def batch(self) -> str:
        """The assets: read only, every tenant."""
        return self._url(self.batch_role, self.database)

    @property
    def mlflow(self) -> str:
        """MLflow's own database."""
        return self._url(self.platform_role, "mlflow")

    @property
    def feast(self) -> str:
        """The Feast registry's database."""
        return self._url(self.platform_role, "feast")

    @property
    def dagster(self) -> str:
        """Dagster's database; it needs psycopg2 named, or its first stored event fails."""
        return self._url(self.platform_role, "dagster", driver="postgresql+psycopg2")

    def _url(self, role: Role, database: str, driver: str = "postgresql+psycopg") -> str:
        url = self.server.set(drivername=driver, username=role.user, password=role.password, database=database)
        return url.render_as_string(hide_password=False)


def _derived(name: str, box: SecretBox) -> Role:
    return Role(name, box.password(name))

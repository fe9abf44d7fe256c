"""A person's features in Valkey: one key with a packed row for each view."""

from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import Connection

from adapters.feature_store import PROJECT
from adapters.personal_data.places import Person


class OnlineUnavailable(RuntimeError):
    """Valkey does not answer; the erasure goes on when it does."""


class OnlineFeatures:
    """The online store of Feast."""

    name = "online_features"

    def __init__(self, client: Redis, *, project: str = PROJECT) -> None:
        self._client = client
        self._project = project

    def erase(self, connection: Connection, person: Person) -> int:  # noqa: ARG002 - the values are not in PostgreSQL
        """Delete the person's key.

        Raises:
            OnlineUnavailable: Valkey does not answer.
        """
        return self.forget(person.tenant.tenant, person.recipient_id)

    def forget(self, tenant: str, recipient_id: str) -> int:
        """Delete the key of a recipient.

        Raises:
            OnlineUnavailable: Valkey does not answer.
        """
        # Imported when needed: it loads Feast, which takes seconds.
        from adapters.redis import online_store

        stored_at = online_store.key(self._project, tenant, recipient_id)
        try:
            return int(self._client.delete(stored_at))  # type: ignore[arg-type]
        except RedisError as error:
            raise OnlineUnavailable(f"Valkey cannot do it now ({type(error).__name__})") from None

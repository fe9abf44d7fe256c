"""The entities of every Feast view: whose recipient, and which one.

The tenant is an entity, so no online key or offline join can ever mix two tenants.
"""

from feast import Entity
from feast.value_type import ValueType

TENANT = "tenant"
RECIPIENT = "recipient_id"


def tenant() -> Entity:
    """Return the tenant entity."""
    return Entity(
        name="tenant",
        join_keys=[TENANT],
        value_type=ValueType.STRING,
        description="The organisation a recipient belongs to.",
    )


def recipient() -> Entity:
    """Return the recipient entity, unique within a tenant."""
    return Entity(
        name="recipient",
        join_keys=[RECIPIENT],
        value_type=ValueType.STRING,
        description="The person a notification is for.",
    )

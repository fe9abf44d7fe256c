"""Changes: that something about a recipient changed, told to whoever listens; what it is now, they read themselves.

A change carries no value, so telling of it shows nobody more than they may read. Kinds that a listener may not read
are not told to them at all.
"""

from collections.abc import Collection
from enum import StrEnum

from pydantic import Field

from domain.permissions import Permission
from domain.values import Frozen, Moment


class ChangeKind(StrEnum):
    """What of a recipient changed; ``allowances`` when several parts of what they allow may have."""

    PROFILE = "profile"
    CONSENT = "consent"
    SWITCH = "switch"
    SUPPRESSION = "suppression"
    PREFERENCE = "preference"
    ALLOWANCES = "allowances"

    @property
    def permission(self) -> Permission:
        """What a key must be allowed to read to be told."""
        return _PERMISSIONS.get(self, Permission.CONSENTS_READ)


_PERMISSIONS = {
    ChangeKind.PROFILE: Permission.PROFILES_READ,
    ChangeKind.PREFERENCE: Permission.PREFERENCES_READ,
}


class Change(Frozen):
    """One change, as listeners are told."""

    change_id: int = Field(description="Grows with every change of the tenant, in the order they were committed.")
    recipient_id: str
    kind: ChangeKind
    version: int = Field(description="Version of the profile, or of all that the recipient allows, after the change.")
    recorded_at: Moment


def kinds_for(scopes: Collection[str]) -> frozenset[ChangeKind]:
    """Return the kinds a key with these permissions may be told of."""
    return frozenset(kind for kind in ChangeKind if kind.permission.is_granted_by(tuple(scopes)))

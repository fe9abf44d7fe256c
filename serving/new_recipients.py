"""What happens when a recipient becomes known: the profile and the template similar ones suggest, in one commit."""

import structlog
from prometheus_client import Counter

from adapters.postgres.engine import Busy, Unavailable
from adapters.postgres.profiles import StoredProfile
from domain.profiles import Profile
from domain.tenants import Tenant
from serving.logs import places
from serving.parts import Parts

log = structlog.get_logger("kairos.learned_defaults")
_GIVEN = Counter("kairos_learned_defaults", "New recipients under learned defaults, by what they got.", ("outcome",))
"""``template``, ``nothing``, ``late`` where PostgreSQL could not choose in time, or ``failed``."""


def put_profile(
    parts: Parts, tenant: Tenant, recipient_id: str, profile: Profile, *, actor: str, if_version: int | None
) -> StoredProfile:
    """Store a profile; where the tenant has learned defaults, a new recipient gets theirs with it.

    A choice that takes too long is left out: a suggestion is no reason to lose a profile.

    Raises:
        VersionConflict: another version is stored.
        UnknownRecipient: the recipient was deleted.
        AttributesRefused: the attributes are not as the tenant's schema says.
    """
    if not parts.preference_policies.get(tenant).document.learned_defaults:
        return parts.profiles.put(tenant, recipient_id, profile, actor=actor, if_version=if_version)
    with parts.templates.defaults.beginning(tenant, recipient_id):
        stored = parts.profiles.put(tenant, recipient_id, profile, actor=actor, if_version=if_version)
        if stored.version == 1:
            _give(parts, tenant, recipient_id, actor)
    return stored


def _give(parts: Parts, tenant: Tenant, recipient_id: str, actor: str) -> None:
    try:
        given = parts.templates.defaults.give(tenant, recipient_id, actor=actor)
    except Busy as error:
        # It is undone to its savepoint; the profile before it stands.
        log.warning("learned_defaults.late", tenant=tenant.tenant, error=str(error))
        _GIVEN.labels("late").inc()
        return
    except Unavailable:
        raise
    except Exception as error:  # noqa: BLE001 - as above, whatever keeps a suggestion from being made
        log.error(  # noqa: TRY400 - the exception's text may quote somebody's data
            "learned_defaults.failed",
            tenant=tenant.tenant,
            error=type(error).__name__,
            at=places(error.__traceback__),
        )
        _GIVEN.labels("failed").inc()
        return
    log.info("learned_defaults.given", tenant=tenant.tenant, template=given.name if given else None)
    _GIVEN.labels("template" if given else "nothing").inc()

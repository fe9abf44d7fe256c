"""Roles: what somebody's work needs, as a fixed set of permissions; a permission that no set names is in no role.

Nobody's role holds everything. Who hands out keys sees no recipient, and who manages tenants sees nothing inside one.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from domain.permissions import Permission


class Role(StrEnum):
    """The kinds of work a key may be for; the list is closed."""

    RECIPIENT = "recipient"
    APPLICATION = "application"
    MARKETER = "marketer"
    ANALYST = "analyst"
    CONTENT_MANAGER = "content_manager"
    OPERATOR = "operator"
    PRIVACY_OFFICER = "privacy_officer"
    TENANT_ADMIN = "tenant_admin"
    PLATFORM_ADMIN = "platform_admin"


PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    # Of one person, about themselves: whoever has this role reaches no other recipient; see serving/http/auth.py.
    Role.RECIPIENT: frozenset(
        {
            Permission.PREFERENCES_READ,
            Permission.PREFERENCES_WRITE,
            Permission.CONSENTS_READ,
            Permission.CONSENTS_WRITE,
            Permission.DECISIONS_READ,
            Permission.EXPORTS_READ,
            Permission.EXPORTS_WRITE,
        }
    ),
    Role.APPLICATION: frozenset(
        {
            Permission.EVENTS_WRITE,
            Permission.DECISIONS_WRITE,
            Permission.DECISIONS_READ,
            Permission.PROFILES_READ,
            Permission.PROFILES_WRITE,
            Permission.ATTRIBUTE_SCHEMA_READ,
            Permission.CONSENTS_READ,
            Permission.CONSENTS_WRITE,
            Permission.PREFERENCES_READ,
            Permission.PREFERENCES_WRITE,
            Permission.CHANGES_READ,
            Permission.SUPPRESSIONS_READ,
            Permission.SUPPRESSIONS_WRITE,
            Permission.TEMPLATES_READ,
            Permission.TEMPLATES_WRITE,
            Permission.JOBS_READ,
            Permission.MODELS_READ,
            Permission.SCORES_WRITE,
            Permission.TYPES_READ,
        }
    ),
    Role.MARKETER: frozenset(
        {
            Permission.TYPES_READ,
            # Writes no variant, so that whoever proposes one is not who lets it through.
            Permission.TYPES_APPROVE,
            Permission.DECISIONS_READ,
            Permission.PREFERENCE_POLICY_WRITE,
            Permission.CONTACT_BUDGET_WRITE,
            Permission.BUSINESS_RULES_READ,
            Permission.BUSINESS_RULES_WRITE,
            Permission.PERFORMANCE_READ,
            Permission.PLANS_READ,
            Permission.PLANS_WRITE,
            Permission.TEMPLATES_READ,
            Permission.TEMPLATES_WRITE,
        }
    ),
    # Tries a policy of its own choice on real requests; whoever only asks for decisions gets the type's.
    Role.ANALYST: frozenset(
        {
            Permission.TYPES_READ,
            Permission.DECISIONS_READ,
            Permission.TEMPLATES_READ,
            Permission.BUSINESS_RULES_READ,
            Permission.POLICIES_TEST,
            Permission.PERFORMANCE_READ,
            Permission.PLANS_READ,
            Permission.MODELS_READ,
            Permission.SCORES_WRITE,
            Permission.JOBS_READ,
        }
    ),
    Role.CONTENT_MANAGER: frozenset({Permission.TYPES_READ, Permission.TYPES_WRITE}),
    Role.OPERATOR: frozenset(
        {
            Permission.TYPES_READ,
            Permission.DECISIONS_READ,
            Permission.DEAD_LETTERS_READ,
            Permission.CONTACT_BUDGET_WRITE,
            Permission.BUSINESS_RULES_READ,
            Permission.DEAD_LETTERS_REPLAY,
            Permission.SUPPRESSIONS_READ,
            Permission.SUPPRESSIONS_WRITE,
            Permission.JOBS_READ,
            Permission.HOOKS_READ,
            Permission.SERVICE_LEVELS_READ,
            Permission.MODELS_READ,
            Permission.PAUSES_READ,
            Permission.PAUSES_WRITE,
        }
    ),
    Role.PRIVACY_OFFICER: frozenset(
        {
            Permission.PROFILES_READ,
            Permission.PROFILES_WRITE,
            Permission.ATTRIBUTE_SCHEMA_READ,
            Permission.CONSENTS_READ,
            Permission.CONSENTS_WRITE,
            Permission.PREFERENCES_READ,
            Permission.PREFERENCES_WRITE,
            Permission.TEMPLATES_READ,
            Permission.CHANGES_READ,
            Permission.DECISIONS_READ,
            Permission.AUDIT_READ,
            Permission.SUPPRESSIONS_READ,
            Permission.SUPPRESSIONS_WRITE,
            Permission.PRIVACY_READ,
            Permission.PRIVACY_WRITE,
            Permission.EXPORTS_READ,
            Permission.EXPORTS_WRITE,
        }
    ),
    Role.TENANT_ADMIN: frozenset(
        {
            Permission.KEYS_READ,
            Permission.KEYS_WRITE,
            Permission.TYPES_READ,
            Permission.CONTENT_SOURCE_WRITE,
            Permission.HOOKS_READ,
            Permission.HOOKS_WRITE,
            Permission.SERVICE_LEVELS_READ,
            Permission.SERVICE_LEVELS_WRITE,
            Permission.ATTRIBUTE_SCHEMA_READ,
            Permission.ATTRIBUTE_SCHEMA_WRITE,
            Permission.PAUSES_READ,
            Permission.PAUSES_WRITE,
        }
    ),
    Role.PLATFORM_ADMIN: frozenset({Permission.TENANTS_READ, Permission.TENANTS_WRITE}),
}


def granted(scopes: Iterable[str], roles: Iterable[str]) -> tuple[str, ...]:
    """Return the permissions of single scopes and of a key's roles together, sorted; an unknown role grants nothing.

    Nor does ``recipient``: a key stands for a program, so nobody could say whose data it may see.
    """
    known = [role for role in roles if role in PERMISSIONS and role != Role.RECIPIENT]
    held = {permission.value for role in known for permission in PERMISSIONS[Role(role)]}
    return tuple(sorted(held.union(scopes)))

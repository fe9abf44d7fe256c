"""What an API key may be allowed to do: a closed list, so that a misspelt permission is refused when it is given."""

from enum import StrEnum


class Permission(StrEnum):
    """One permission; ``*`` is every one inside the key's own tenant, later ones included."""

    EVERYTHING = "*"
    EVENTS_WRITE = "events:write"
    DEAD_LETTERS_READ = "dead_letters:read"
    DEAD_LETTERS_REPLAY = "dead_letters:replay"
    DECISIONS_WRITE = "decisions:write"
    DECISIONS_READ = "decisions:read"
    POLICIES_TEST = "policies:test"
    PROFILES_READ = "profiles:read"
    PROFILES_WRITE = "profiles:write"
    CONSENTS_READ = "consents:read"
    CONSENTS_WRITE = "consents:write"
    SUPPRESSIONS_READ = "suppressions:read"
    SUPPRESSIONS_WRITE = "suppressions:write"
    PRIVACY_READ = "privacy:read"
    PRIVACY_WRITE = "privacy:write"
    EXPORTS_READ = "exports:read"
    EXPORTS_WRITE = "exports:write"
    AUDIT_READ = "audit:read"
    CHANGES_READ = "changes:read"
    PREFERENCES_READ = "preferences:read"
    PREFERENCES_WRITE = "preferences:write"
    PREFERENCE_POLICY_WRITE = "preference_policy:write"
    CONTACT_BUDGET_WRITE = "contact_budget:write"
    TEMPLATES_READ = "templates:read"
    TEMPLATES_WRITE = "templates:write"
    JOBS_READ = "jobs:read"
    TYPES_READ = "types:read"
    TYPES_WRITE = "types:write"
    TYPES_APPROVE = "types:approve"
    CONTENT_SOURCE_WRITE = "content_source:write"
    MODELS_READ = "models:read"
    SCORES_WRITE = "scores:write"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    HOOKS_READ = "hooks:read"
    HOOKS_WRITE = "hooks:write"
    SERVICE_LEVELS_READ = "service_levels:read"
    SERVICE_LEVELS_WRITE = "service_levels:write"
    BUSINESS_RULES_READ = "business_rules:read"
    BUSINESS_RULES_WRITE = "business_rules:write"
    PERFORMANCE_READ = "performance:read"
    PLANS_READ = "plans:read"
    PLANS_WRITE = "plans:write"
    ATTRIBUTE_SCHEMA_READ = "attribute_schema:read"
    ATTRIBUTE_SCHEMA_WRITE = "attribute_schema:write"
    PAUSES_READ = "pauses:read"
    PAUSES_WRITE = "pauses:write"
    TENANTS_READ = "tenants:read"
    TENANTS_WRITE = "tenants:write"

    def is_granted_by(self, scopes: tuple[str, ...]) -> bool:
        """Return whether a key with these permissions has this one."""
        return self in scopes or (self.EVERYTHING in scopes and self not in _BEYOND_ONE_TENANT)


_BEYOND_ONE_TENANT = frozenset({Permission.TENANTS_READ, Permission.TENANTS_WRITE})

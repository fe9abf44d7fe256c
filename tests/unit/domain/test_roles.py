"""Roles: least privilege, held to as sets."""

import pytest

from domain.permissions import Permission
from domain.roles import PERMISSIONS, Role, granted

PERSONAL = {
    Permission.PROFILES_READ,
    Permission.CONSENTS_READ,
    Permission.PREFERENCES_READ,
    Permission.CHANGES_READ,
    Permission.DECISIONS_READ,
    Permission.AUDIT_READ,
    Permission.SUPPRESSIONS_READ,
    Permission.PRIVACY_READ,
    Permission.DEAD_LETTERS_READ,
}


def test_every_role_has_permissions_and_none_has_everything():
    assert set(PERMISSIONS) == set(Role)
    assert all(PERMISSIONS.values())
    assert not any(Permission.EVERYTHING in held for held in PERMISSIONS.values())
    assert not any(held >= PERSONAL for held in PERMISSIONS.values())


def test_every_permission_belongs_to_some_role():
    assert set(Permission) - frozenset[Permission]().union(*PERMISSIONS.values()) == {Permission.EVERYTHING}


@pytest.mark.parametrize("role", [Role.TENANT_ADMIN, Role.PLATFORM_ADMIN, Role.CONTENT_MANAGER])
def test_who_administers_sees_no_recipient(role):
    assert not PERMISSIONS[role] & PERSONAL


def test_only_the_platforms_administrator_reaches_beyond_one_tenant():
    reaching = {Permission.TENANTS_READ, Permission.TENANTS_WRITE}
    assert [role for role, held in PERMISSIONS.items() if held & reaching] == [Role.PLATFORM_ADMIN]
    assert not any(permission.is_granted_by(("*",)) for permission in reaching)
    assert all(permission.is_granted_by(("*",)) for permission in set(Permission) - reaching)


def test_roles_and_scopes_add_up_and_a_forgotten_role_grants_nothing():
    assert granted(["audit:read"], ["content_manager"]) == ("audit:read", "types:read", "types:write")
    assert granted([], ["emperor"]) == ()

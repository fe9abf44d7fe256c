"""``kairos keys rotate``: a new key-encryption key, and every data key wrapped with it, while everything runs."""

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cli.installation import Installation
    from domain.tenants import Tenant


def rotate(
    *,
    data_keys_older_than: Annotated[
        int | None, typer.Option(min=0, help="Seal again, too, what data keys older than so many days sealed.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Progress and result as one JSON object per line.")] = False,
) -> None:
    """Rotate the key-encryption key; an interrupted rotation is finished instead of beginning another.

    Keys given by KAIROS_KEY_ENCRYPTION_KEYS are added and removed there; this wraps with the first of them.
    """
    from adapters.clock import real_now
    from adapters.keyring import GivenBySettings
    from adapters.postgres.key_rotation import KeyRotation
    from adapters.postgres.tenants import OWNER
    from cli.installation import opened

    now = real_now()

    with opened() as here:
        rotation = KeyRotation(here.database, here.keyring)
        tenants = list(here.tenants.all())
        try:
            new = rotation.begin(tenants)
        except GivenBySettings:
            new = None
        for tenant in tenants:
            for step in rotation.rewrap(tenant, actor=OWNER):
                _say(as_json, {"tenant": step.tenant, "rewrapped": step.done, "left": step.left})
        _seal_late(here, tenants, as_json=as_json)
        if data_keys_older_than is not None:
            _renew(here, tenants, now - timedelta(days=data_keys_older_than), as_json=as_json)
        gone = rotation.let_go(tenants, now=now)
        uses = rotation.uses(tenants)
        _say(as_json, {"current": here.keyring.current, "new": new, "uses": dict(uses), "removed": gone})


def _seal_late(here: "Installation", tenants: "list[Tenant]", *, as_json: bool) -> None:
    from adapters.postgres.late_sealing import LateSealing

    late = LateSealing(here.database)
    for tenant in tenants:
        for count in late.seal(tenant):
            _say(as_json, {"tenant": tenant.tenant, "sealed": count, "left": late.left(tenant)})


def _renew(here: "Installation", tenants: "list[Tenant]", before: datetime, *, as_json: bool) -> None:
    from adapters.postgres.data_key_rotation import DataKeyRotation

    rotation = DataKeyRotation(here.database)
    for tenant in tenants:
        for count in rotation.renew(tenant, made_before=before):
            left = rotation.left(tenant, made_before=before)
            _say(as_json, {"tenant": tenant.tenant, "resealed": count, "left": left})


def _say(as_json: bool, facts: dict[str, object]) -> None:  # noqa: FBT001 - private, one call form
    print(json.dumps(facts) if as_json else ", ".join(f"{name} {value}" for name, value in facts.items()))

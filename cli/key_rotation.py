"""``kairos keys rotate``: a new key-encryption key, and every data key wrapped with it, while everything runs."""

import json
from typing import Annotated

import typer


def rotate(
    *, as_json: Annotated[bool, typer.Option("--json", help="Progress and result as one JSON object per line.")] = False
) -> None:
    """Rotate the key-encryption key; an interrupted rotation is finished instead of beginning another.

    Keys given by KAIROS_KEY_ENCRYPTION_KEYS are added and removed there; this wraps with the first of them.
    """
    from adapters.clock import real_now
    from adapters.keyring import GivenBySettings
    from adapters.postgres.key_rotation import KeyRotation
    from adapters.postgres.tenants import OWNER
    from cli.installation import opened

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
        gone = rotation.let_go(tenants, now=real_now())
        uses = rotation.uses(tenants)
        _say(as_json, {"current": here.keyring.current, "new": new, "uses": dict(uses), "removed": gone})


def _say(as_json: bool, facts: dict[str, object]) -> None:  # noqa: FBT001 - private, one call form
    print(json.dumps(facts) if as_json else ", ".join(f"{name} {value}" for name, value in facts.items()))

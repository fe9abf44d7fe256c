"""``kairos keys``: issues, replaces and revokes API keys; for whoever runs the installation."""

from datetime import timedelta
from typing import Annotated

import typer

from cli.exit_codes import ExitCode, Refused
from cli.installation import opened
from cli.key_rotation import rotate
from domain.permissions import Permission
from domain.roles import Role

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Issue, replace and revoke API keys; rotate the key-encryption key.",
)
app.command()(rotate)
Prefix = Annotated[str, typer.Argument(help="The part between kai_ and the next underscore.")]
TenantName = Annotated[str, typer.Argument(help="Whose key.")]


@app.command()
def issue(
    tenant: TenantName,
    *,
    name: Annotated[str, typer.Option(help="What the key is for.")],
    role: Annotated[
        list[Role] | None, typer.Option(help="Repeatable; default: application, when no scope is given.")
    ] = None,
    scope: Annotated[list[Permission] | None, typer.Option(help="Repeatable; * is everything in the tenant.")] = None,
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="Days it is valid; default: for ever.")] = None,
) -> None:
    """Create a key and print it; it is shown only now."""
    from adapters.postgres.tenants import UnknownTenant

    roles = role or ([] if scope else [Role.APPLICATION])
    with opened() as here:
        try:
            here.tenants.get(tenant)
        except UnknownTenant as error:
            raise Refused(str(error), ExitCode.USAGE) from None
        key = here.api_keys.issue(
            tenant,
            name=name,
            scopes=[each.value for each in scope or ()],
            roles=[each.value for each in roles],
            expires_at=here.clock.real() + timedelta(days=days) if days is not None else None,
        )
    print(key)


@app.command()
def replace(
    tenant: TenantName,
    prefix: Prefix,
    *,
    overlap_hours: Annotated[float, typer.Option(min=0, max=720, help="Hours the old key still works.")] = 24.0,
) -> None:
    """Print a successor that may do the same; the old key ends after the overlap."""
    with opened() as here:
        key = here.api_keys.rotate(tenant, prefix, overlap=timedelta(hours=overlap_hours), at=here.clock.real())
    if key is None:
        raise Refused(f"tenant {tenant} has no key in force with this prefix")
    print(key)


@app.command()
def revoke(
    tenant: TenantName,
    prefix: Prefix,
) -> None:
    """Revoke a key; the next request with it is refused."""
    with opened() as here:
        if not here.api_keys.revoke(tenant, prefix, at=here.clock.real()):
            raise Refused(f"tenant {tenant} has no key in force with this prefix")
    print("revoked")

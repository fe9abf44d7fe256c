"""``kairos keys``: issues and revokes API keys; for whoever runs the installation."""

from typing import Annotated

import typer

from cli.exit_codes import ExitCode, Refused
from cli.installation import opened
from cli.key_rotation import rotate
from domain.permissions import Permission

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Issue and revoke API keys.")
app.command()(rotate)
TenantName = Annotated[str, typer.Argument(help="Whose key.")]


@app.command()
def issue(
    tenant: TenantName,
    *,
    name: Annotated[str, typer.Option(help="What the key is for.")],
    scope: Annotated[list[Permission] | None, typer.Option(help="Repeatable; default: everything.")] = None,
) -> None:
    """Create a key and print it; it is shown only now."""
    from adapters.postgres.tenants import UnknownTenant

    with opened() as here:
        try:
            here.tenants.get(tenant)
        except UnknownTenant as error:
            raise Refused(str(error), ExitCode.USAGE) from None
        print(
            here.api_keys.issue(
                tenant, name=name, scopes=tuple(each.value for each in scope or [Permission.EVERYTHING])
            )
        )


@app.command()
def revoke(
    tenant: TenantName,
    prefix: Annotated[str, typer.Argument(help="The part between kai_ and the next underscore.")],
) -> None:
    """Revoke a key; the next request with it is refused."""
    with opened() as here:
        if not here.api_keys.revoke(tenant, prefix, at=here.clock.real()):
            raise Refused(f"tenant {tenant} has no key in force with this prefix")
    print("revoked")

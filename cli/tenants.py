"""``kairos tenants``: creates, lists and sets the clock of tenants; for whoever runs the installation."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli.exit_codes import ExitCode, Refused
from cli.installation import Installation, opened

if TYPE_CHECKING:
    from domain.tenants import Tenant

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Create and list tenants, set a sandbox's clock.")
Name = Annotated[str, typer.Argument(help="Lower-case letters, digits, - and _.")]


@app.command()
def create(
    name: Name,
    *,
    display_name: Annotated[str | None, typer.Option(help="What people call it; default: the name.")] = None,
    time_zone: Annotated[str, typer.Option(help="Zone of recipients without one of their own.")] = "UTC",
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Its clock may be shifted; never for real people.")
    ] = False,
) -> None:
    """Create a tenant and print its first key, which is shown only now; an existing one is left as it is."""
    from adapters.postgres.tenants import OWNER

    with _installation() as here:
        facts = {"display_name": display_name or name, "time_zone": time_zone, "is_sandbox": sandbox}
        tenant, key = here.tenants.create_with_key(
            name, lambda: here.api_keys.issue(name, name="first"), **facts, actor=OWNER
        )
    print(f"tenant {tenant.tenant} {'created' if key else 'exists already and was left as it is'}")
    if key is not None:
        print(f"its key, shown only now: {key}")


@app.command("list")
def list_(*, as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False) -> None:
    """List the tenants with their zones and clocks."""
    with _installation() as here:
        known = [(tenant, here.clock.now(tenant)) for tenant in here.tenants.all()]
    for tenant, now in known:
        print(json.dumps(_document(tenant, now)) if as_json else _line(tenant, now))


@app.command()
def clock(
    name: Name,
    *,
    at: Annotated[
        str | None, typer.Option(help="What time it shall be now, such as 2018-01-02T10:00:00-05:00.")
    ] = None,
    offset_seconds: Annotated[
        float | None, typer.Option(help="How far from real time; 0 takes the shift back.")
    ] = None,
) -> None:
    """Set the clock of a sandbox tenant; it runs on from there."""
    if (at is None) == (offset_seconds is None):
        raise Refused("give either --at or --offset-seconds", ExitCode.USAGE)
    with _installation() as here:
        offset = offset_seconds if at is None else (_moment(at) - here.clock.real()).total_seconds()
        tenant = here.tenants.shift_clock(name, offset or 0.0)
        print(f"for {tenant.tenant} it is now {here.clock.now(tenant).isoformat(timespec='seconds')}")


@contextmanager
def _installation() -> Iterator[Installation]:
    from adapters.postgres.tenants import UnknownTenant

    try:
        with opened() as here:
            yield here
    except UnknownTenant as error:
        raise Refused(str(error), ExitCode.USAGE) from None
    except ValueError as error:
        raise Refused(_first_line(error), ExitCode.USAGE) from None


def _first_line(error: ValueError) -> str:
    from pydantic import ValidationError

    from domain import faults

    if isinstance(error, ValidationError):
        fault = error.errors(include_input=False)[0]
        place = faults.field(fault)
        return f"{place}: expected {faults.expected(fault)}" if place else faults.expected(fault)
    return str(error)


def _moment(written: str) -> datetime:
    moment = datetime.fromisoformat(written)
    if moment.tzinfo is None:
        raise Refused("--at: expected a moment with its offset, such as 2018-01-02T10:00:00-05:00", ExitCode.USAGE)
    return moment


def _document(tenant: "Tenant", now: datetime) -> dict[str, object]:
    return tenant.model_dump(mode="json", exclude={"subject_secret"}) | {"now": now.isoformat(timespec="seconds")}


def _line(tenant: "Tenant", now: datetime) -> str:
    kind = "sandbox" if tenant.is_sandbox else "real"
    return f"{tenant.tenant:<20} {kind:<8} {tenant.time_zone:<24} {now.isoformat(timespec='seconds')}"

"""``kairos audit``: verifies the trail, signs its end, exports it.

Exit codes: 0 everything holds, 1 a row does not, 2 wrong use, 6 the servers do not run.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli.credential import session
from cli.exit_codes import ExitCode, Refused

if TYPE_CHECKING:
    from adapters.audit_verification import Verdict
    from adapters.checkpoints import Checkpoints
    from adapters.postgres.audit_chain import AuditChain

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Verify, sign and export the audit trail.")
READ = "audit:read"


@app.command()
def verify(
    *,
    since: Annotated[
        str | None, typer.Option(help="Trust what was signed before that moment, and begin there.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per tenant.")] = False,
) -> None:
    """Compare every row with its chain and every chain with its signed checkpoints; names the first bad row."""
    from adapters import audit_verification

    moment = _moment(since)
    with _chain() as (chain, checkpoints):
        verdicts = [audit_verification.verify(chain, checkpoints, each, since=moment) for each in chain.tenants()]
    for verdict in verdicts:
        print(json.dumps(_document(verdict)) if as_json else _line(verdict))
    if not all(verdict.holds for verdict in verdicts):
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def checkpoint() -> None:
    """Link what waits and sign the end of every chain now; the sealer does it every hour."""
    from adapters.checkpoints import BadCheckpoint
    from adapters.clock import real_now

    with _chain() as (chain, checkpoints):
        for tenant in chain.tenants():
            while chain.seal(tenant):
                continue
            try:
                written = checkpoints.write(tenant, chain.head(tenant), at=real_now())
            except (BadCheckpoint, OSError) as error:
                raise Refused(f"{tenant}: no checkpoint was written ({error})") from None
            print(f"{tenant}: {written or 'nothing new to sign'}")


@app.command()
def export() -> None:
    """Write the trail of the tenant whose key is in KAIROS_API_KEY as JSON lines, in the order of its chain."""
    from adapters.postgres.audit_trail import AuditTrail
    from domain.audit import canonical

    with session(READ) as opened:
        for each in AuditTrail(opened.database).export(opened.tenant, actor=opened.actor):
            sys.stdout.write(canonical({**each, "row": json.loads(canonical(each["row"] or {}))}).decode() + "\n")


@contextmanager
def _chain() -> "Iterator[tuple[AuditChain, Checkpoints]]":
    from adapters.checkpoints import Checkpoints
    from adapters.endpoints import resolve
    from adapters.postgres.audit_chain import AuditChain
    from adapters.postgres.engine import Database, Unavailable
    from adapters.secrets import SecretBox
    from adapters.settings import load_settings

    settings = load_settings()
    database = Database(resolve(settings).databases.app)
    try:
        yield AuditChain(database), Checkpoints.of(settings, SecretBox.of(settings))
    except Unavailable as error:
        raise Refused(f"{error}; try again when it is back", ExitCode.NOT_RUNNING) from None
    finally:
        database.close()


def _moment(written: str | None) -> datetime | None:
    if written is None:
        return None
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Refused("--since: expected a moment with its offset, such as 2026-03-01T09:00:00Z", ExitCode.USAGE)
    return moment


def _document(verdict: "Verdict") -> dict[str, object]:
    finding = verdict.finding
    return {
        "tenant": verdict.tenant,
        "holds": verdict.holds,
        "checked": verdict.checked,
        "signed": verdict.signed,
        "unsealed": verdict.unsealed,
        "unsealed_since": verdict.unsealed_since.isoformat() if verdict.unsealed_since else None,
        "kind": finding.kind.value if finding else None,
        "sequence": finding.sequence if finding else None,
        "audit_id": finding.audit_id if finding else None,
    }


def _line(verdict: "Verdict") -> str:
    tail = f", {verdict.unsealed} not sealed yet" if verdict.unsealed else ""
    finding = verdict.finding
    if finding is None:
        return f"{verdict.tenant}: {verdict.checked} rows hold, {verdict.signed} of the chain signed{tail}"
    place = f"place {finding.sequence}" if finding.sequence is not None else "no place in the chain"
    row = f", row {finding.audit_id}" if finding.audit_id is not None else ""
    return f"{verdict.tenant}: BROKEN ({finding.kind.value}) at {place}{row}: {finding.sentence}{tail}"

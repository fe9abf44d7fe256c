"""Opt-out signals of browsers, recorded as withdrawals with their proof in the place whose rule says so."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from pydantic import JsonValue
from sqlalchemy import Connection, text

from adapters.postgres import allowances, audit, consent, profiles
from adapters.postgres.engine import Database
from domain.consent import ConsentChange
from domain.legal import signals
from domain.legal.places import place_of
from domain.legal.rules import Rule, RuleSet
from domain.tenants import Tenant
from domain.values import Purpose


class OptOutSignals:
    """Heeds the signals that a rule set knows."""

    def __init__(self, database: Database, rules: RuleSet) -> None:
        self._database = database
        self._rules = rules

    @allowances.again_if_moved
    def heed(
        self, tenant: Tenant, recipient_id: str, headers: Mapping[str, str], *, actor: str, now: datetime
    ) -> tuple[Purpose, ...]:
        """Withdraw what the headers of a recipient's request ask for, once, and return what was withdrawn now.

        Effective when this returns. Headers without a signal change nothing and read nothing.

        Raises:
            Unavailable: PostgreSQL could not commit; nothing was withdrawn.
        """
        said = signals.heard(self._rules, headers)
        if not said:
            return ()
        with self._database.tenant(tenant.tenant) as connection:
            recipient_id = allowances.survivor(connection, recipient_id)
            if not pending(connection, tenant, self._rules, {recipient_id: {}}, said, now=now):
                return ()
            # Two requests of one page wait for each other here; the second finds nothing left to do.
            connection.execute(_ONE_AT_A_TIME, {"name": f"kairos.signal.{tenant.tenant}.{recipient_id}"})
            proof: dict[str, JsonValue] = {"request_id": audit.context().get("request_id")}
            changes = pending(connection, tenant, self._rules, {recipient_id: proof}, said, now=now)
            with audit.arriving(rules=[rule.id for rule in said]):
                consent.apply(connection, tenant, changes, actor=actor, now=now)
        return tuple(each.purpose for each in changes.get(recipient_id, ()))


def pending(
    connection: Connection,
    tenant: Tenant,
    rules: RuleSet,
    proofs: Mapping[str, Mapping[str, JsonValue]],
    said: Iterable[Rule],
    *,
    now: datetime,
) -> dict[str, Sequence[ConsentChange]]:
    """Return what a signal of several recipients, each with its proof, still has to withdraw; none with nothing."""
    allowed = allowances.read(connection, proofs)
    known = profiles.read(connection, tenant, list(proofs))
    found: dict[str, Sequence[ConsentChange]] = {}
    for recipient, proof in proofs.items():
        profile = known[recipient].profile if recipient in known else None
        countries = place_of(profile, None, tenant.zone).countries
        standing = allowed[recipient].consents
        changes = list(signals.withdrawals(said, rules, countries, standing, now=now, proof=proof))
        if changes:
            found[recipient] = changes
    return found


_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")

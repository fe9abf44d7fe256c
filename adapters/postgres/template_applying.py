"""Applies one version of a template to some recipients in one transaction, with what became of each.

Who is meant is looked at first without a lock; only those whose template changes are locked, counted and announced.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection

from adapters.postgres import allowances, template_members
from adapters.postgres.preference_templates import PublishedTemplate
from adapters.postgres.recipient_facts import RecipientFacts
from domain.changes import ChangeKind
from domain.gates import Allowances
from domain.preference_templates import Fit, Membership, Reasoned, fit
from domain.segments import Fact, Rule, holds, subjects
from domain.tenants import Tenant


class Applied(StrEnum):
    """What became of one recipient."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    NOT_IN_AUDIENCE = "not_in_audience"
    CONDITIONS_NOT_MET = "conditions_not_met"
    GONE = "recipient_gone"


@dataclass(frozen=True)
class Application:
    """Which version is applied, to whom it is meant, in whose name, and under which id it can be rolled back."""

    application_id: str
    published: PublishedTemplate
    actor: str
    now: datetime
    audience: str | None = None

    @property
    def rule(self) -> Rule | None:
        """The rule of the audience, None when it is meant for whoever is named."""
        found = self.published.template.audience(self.audience) if self.audience is not None else None
        return found.rule if found is not None else None

    def membership(self, found: Fit) -> Membership:
        """Return the membership of somebody the template fits."""
        return Membership(
            template_id=self.published.template_id,
            version=self.published.version,
            held=found.held,
            application_id=self.application_id,
            since=self.now,
        )


def apply(
    connection: Connection, tenant: Tenant, recipient_ids: Iterable[str], asked: Application, facts: RecipientFacts
) -> dict[str, Applied]:
    """Apply a template to recipients; each has it when the transaction commits, or what is said of them."""
    standing_for = allowances.survivors(connection, recipient_ids)
    seen = allowances.read(connection, standing_for.values())
    found = _judged(connection, tenant, seen, asked, facts)
    present = template_members.read(connection, list(found))
    wanted = _changes(found, present)
    if wanted:
        versions = allowances.touch(connection, tenant.tenant, wanted, kind=ChangeKind.PREFERENCE)
        # Whoever else changed what these recipients allow is committed by now: they are looked at again.
        stale = [who for who in wanted if versions[who] != seen[who].version + 1]
        found |= _judged(connection, tenant, allowances.read(connection, stale), asked, facts) if stale else {}
        present = template_members.read(connection, list(found))
        wanted = _changes({who: found[who] for who in wanted}, present)
        template_members.put(connection, tenant, wanted, present, actor=asked.actor)
    return {who: _outcome(found[stays], changed=stays in wanted) for who, stays in standing_for.items()}


@dataclass(frozen=True)
class Judged:
    """What would become of recipients, why, and what they have now; nothing was changed."""

    published: PublishedTemplate
    of: Mapping[str, Membership | Applied]
    reasons: Mapping[str, tuple[Reasoned, ...]]
    present: Mapping[str, Membership]


def judge(
    connection: Connection, tenant: Tenant, recipient_ids: Sequence[str], asked: Application, facts: RecipientFacts
) -> Judged:
    """Return for each recipient the membership they would get, or why they would get none."""
    allowed = allowances.read(connection, recipient_ids)
    known = _known(connection, tenant, allowed, asked, facts)
    template = asked.published.template
    return Judged(
        published=asked.published,
        of=_judged_by(allowed, asked, known),
        reasons={who: fit(template, known[who], asked.now).reasons for who in allowed},
        present=template_members.read(connection, recipient_ids),
    )


def _judged(
    connection: Connection,
    tenant: Tenant,
    allowed: Mapping[str, Allowances],
    asked: Application,
    facts: RecipientFacts,
) -> dict[str, Membership | Applied]:
    return _judged_by(allowed, asked, _known(connection, tenant, allowed, asked, facts))


def _known(
    connection: Connection,
    tenant: Tenant,
    allowed: Mapping[str, Allowances],
    asked: Application,
    facts: RecipientFacts,
) -> dict[str, dict[str, Fact]]:
    template = asked.published.template
    rules = (template.conditions, asked.rule, *(each.when for each in template.values))
    return facts.read(connection, tenant, allowed, subjects(rules), asked.now)


def _judged_by(
    allowed: Mapping[str, Allowances], asked: Application, known: Mapping[str, Mapping[str, Fact]]
) -> dict[str, Membership | Applied]:
    judged: dict[str, Membership | Applied] = {}
    for who, each in allowed.items():
        found = fit(asked.published.template, known[who], asked.now)
        if each.is_deleted:
            judged[who] = Applied.GONE
        elif not holds(asked.rule, known[who], asked.now):
            judged[who] = Applied.NOT_IN_AUDIENCE
        else:
            judged[who] = asked.membership(found) if found.may_apply else Applied.CONDITIONS_NOT_MET
    return judged


def _changes(found: Mapping[str, Membership | Applied], present: Mapping[str, Membership]) -> dict[str, Membership]:
    return {
        who: each
        for who, each in found.items()
        if isinstance(each, Membership) and not each.says_the_same(present.get(who))
    }


def _outcome(found: Membership | Applied, *, changed: bool) -> Applied:
    if isinstance(found, Applied):
        return found
    return Applied.CHANGED if changed else Applied.UNCHANGED

"""What applying a template would change, asked of what decisions use: before and after, and nothing is written.

For one recipient every difference is told; for a sample only how many would have it, and no group below ten.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from pydantic import Field

from adapters.postgres.template_applying import Applied
from adapters.postgres.template_outcomes import MIN_GROUP
from domain.gates import Situation
from domain.preference_resolution import Resolved, Rule
from domain.preference_templates import Membership, Reasoned, Template
from domain.tenants import Tenant
from domain.values import Channel, Frozen
from serving import preference_lookup
from serving.parts import Parts

MAX_TYPES = 100
"""Message types that are looked at, by name."""


class Change(Frozen):
    """One part of what holds for a message on a channel that would be different."""

    message_type: str
    channel: Channel
    field: str
    before: Any
    after: Any
    rule_before: Rule
    rule_after: Rule


class RecipientPreview(Frozen):
    """What applying would do to one recipient, and what each condition came to."""

    version: int
    outcome: Applied
    held: tuple[int, ...] = Field(description="Positions of the values that would be for them.")
    reasons: tuple[Reasoned, ...]
    changes: tuple[Change, ...]


class CountedChange(Frozen):
    """How many of a sample would have a part changed; null below ten."""

    message_type: str
    channel: Channel
    field: str
    recipients: int | None


class SamplePreview(Frozen):
    """What applying would do to a sample of recipients."""

    version: int
    sampled: int
    outcomes: dict[Applied, int | None]
    changes: tuple[CountedChange, ...]


def of_recipient(
    parts: Parts, tenant: Tenant, recipient_id: str, template_id: str, version: int | None, *, actor: str
) -> RecipientPreview:
    """Return what applying a version, None for the newest, would change for one recipient; reading it is audited.

    Raises:
        UnknownTemplate: there is no such version.
    """
    judged = parts.templates.applications.judged(
        tenant, template_id, version, [recipient_id], audience=None, actor=actor
    )
    parts.preferences.note_reading(tenant, recipient_id, actor=actor)
    found, template = judged.of[recipient_id], judged.published.template
    now = parts.clock.now(tenant)
    would = found if isinstance(found, Membership) else None
    changed = [each for _, each in _changes(parts, tenant, {recipient_id: would} if would else {}, template, now)]
    return RecipientPreview(
        version=judged.published.version,
        outcome=_outcome(found, judged.present.get(recipient_id)),
        held=would.held if would else (),
        reasons=judged.reasons[recipient_id],
        changes=tuple(changed),
    )


def of_sample(
    parts: Parts, tenant: Tenant, template_id: str, version: int | None, *, audience: str | None, size: int, actor: str
) -> SamplePreview:
    """Return what applying would change for up to ``size`` recipients with a profile, always the same ones.

    Raises:
        UnknownTemplate: there is no such version.
        UnknownAudience: the version has no such audience.
    """
    recipients = parts.templates.applications.sample(tenant, size)
    judged = parts.templates.applications.judged(
        tenant, template_id, version, recipients, audience=audience, actor=actor
    )
    would = {who: each for who, each in judged.of.items() if isinstance(each, Membership)}
    now = parts.clock.now(tenant)
    counted = Counter(
        (each.message_type, each.channel, each.field)
        for _, each in _changes(parts, tenant, would, judged.published.template, now)
    )
    outcomes = Counter(_outcome(each, judged.present.get(who)) for who, each in judged.of.items())
    return SamplePreview(
        version=judged.published.version,
        sampled=len(recipients),
        outcomes={outcome: _told(number) for outcome, number in sorted(outcomes.items())},
        changes=tuple(
            CountedChange(message_type=message_type, channel=channel, field=field, recipients=_told(number))
            for (message_type, channel, field), number in sorted(counted.items())
        ),
    )


def _told(number: int) -> int | None:
    return number if number >= MIN_GROUP else None


def _outcome(found: Membership | Applied, present: Membership | None) -> Applied:
    if isinstance(found, Applied):
        return found
    return Applied.UNCHANGED if found.says_the_same(present) else Applied.CHANGED


def _changes(
    parts: Parts, tenant: Tenant, would: dict[str, Membership], template: Template, now: datetime
) -> Iterator[tuple[str, Change]]:
    """Yield every difference with its recipient, over every published type and the channels it has."""
    for published in parts.templates.types.all(tenant)[:MAX_TYPES] if would else ():
        name = published.definition.type
        for who, situation in parts.decider.situations.by_recipient(tenant, list(would), name, now=now).items():
            for channel in situation.definition.channels:
                before = preference_lookup.resolved_in(situation, channel)
                after = preference_lookup.resolved_in(_with(situation, would[who], template), channel)
                yield from ((who, each) for each in _differences(name, channel, before, after))


def _with(situation: Situation, membership: Membership, template: Template) -> Situation:
    chosen = situation.allowances.choices
    said = replace(chosen, template=template.held(membership.held), template_name=membership.name)
    return replace(situation, allowances=replace(situation.allowances, choices=said))


def _differences(message_type: str, channel: Channel, before: Resolved, after: Resolved) -> Sequence[Change]:
    pairs = ((name, getattr(before, name), getattr(after, name)) for name in _FIELDS)
    return [
        Change(
            message_type=message_type,
            channel=channel,
            field=name,
            before=old.value,
            after=new.value,
            rule_before=old.rule,
            rule_after=new.rule,
        )
        for name, old, new in pairs
        if old.value != new.value
    ]


_FIELDS = tuple(each.name for each in fields(Resolved))

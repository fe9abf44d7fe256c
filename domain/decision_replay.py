"""Replay: a recorded decision made again by the same pure steps, from its record and the type it names.

Nothing is asked again. What the message said is not kept, so its content is not made again either; everything else
must come out the same, to the last bit of every probability.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from domain import content_blocks, digest_types
from domain.business_rules import Ruled
from domain.consent import ConsentState
from domain.contact_budget import Contact, ContactBudget, Spent
from domain.content_quality import Quality
from domain.decision_record import Evidence, record
from domain.decision_request import DecisionRequest
from domain.decisioning import Draft, decide, recheck
from domain.expected import Expected
from domain.gates import Allowances, Situation, screen
from domain.handover import Follows
from domain.legal import replay as legal
from domain.legal.rules import RuleSet
from domain.message_types import MessageType
from domain.preference_gate import Choices, LastSent
from domain.preferences import Preference
from domain.profiles import Profile, Reachability
from domain.quiet_hours import QuietHours
from domain.stages import Asked, Settings
from domain.suppression import Suppression
from domain.switches import ChannelSwitch
from domain.values import Reason
from domain.volume_prices import VolumePrices

SOMEBODY = "somebody"
"""Stands for the recipient, whom a record does not name."""
_NOT_MADE_AGAIN = ("content", "external_ignored", "stages_ms", "recorded_at")


class NotReplayable(ValueError):
    """The record was written before records held what a replay needs."""


@dataclass(frozen=True)
class Past:
    """A recorded decision, ready to be made again: what it was drawn from, and what the locked reading found."""

    record: Mapping[str, Any]
    asked: Asked
    locked: Situation


@dataclass(frozen=True)
class Difference:
    """One field that came out otherwise."""

    field: str
    recorded: Any
    replayed: Any


def past(kept: Mapping[str, Any], definition: MessageType, rules: RuleSet) -> Past:
    """Return a recorded decision as what it was made from.

    Args:
        kept: the record as it is stored.
        definition: the message type in the version that the record names.
        rules: the law in the version that the record names.

    Raises:
        NotReplayable: the record is older than replays.
    """
    known = legal.past(kept)
    if known is None or "stages" not in kept or "tenant_zone" not in kept:
        raise NotReplayable("the decision was recorded before records held what a replay needs")
    follows = Follows.model_validate(kept["follows"]) if kept.get("follows") is not None else None
    locked = Situation(
        definition=digest_types.followed(definition, follows),
        allowances=_allowances(kept["allowances"], kept["consent_version"], known.decided_at),
        profile=_profile(kept),
        law=known.facts(rules),
        quiet=QuietHours.model_validate(kept["quiet_hours"]),
        now=known.decided_at,
        ruled=Ruled.model_validate(kept.get("business_rules", {})),
        tenant_zone=ZoneInfo(kept["tenant_zone"]),
        prices=VolumePrices.model_validate(prices) if (prices := kept.get("volume_prices")) is not None else None,
    )
    first = kept["read_first"]
    drawn_from = locked
    if first is not None:
        drawn_from = replace(locked, allowances=_allowances(first, first["version"], known.decided_at))
    asked = Asked(
        decision_id=kept["decision_id"],
        request=_request(kept["request"]),
        situation=drawn_from,
        expected=Expected.model_validate(kept["expected"]),
        is_holdout=kept["is_holdout"],
        settings=Settings.model_validate(kept["policy_settings"]),
        follows=follows,
    )
    return Past(kept, asked, locked)


def again(decision: Past) -> Draft:
    """Return the decision, made again."""
    asked, kept = decision.asked, decision.record
    draft = decide(asked, screen(asked.request, asked.situation))
    draft = replace(draft, blocks=content_blocks.again(kept.get("blocks", ())))
    if kept["quality"] is not None:
        draft = replace(draft, quality=Quality.model_validate(kept["quality"]))
    if kept["replaced"] is not None:
        # What was drawn could not be filled well enough; with what, the record does not say.
        draft = replace(draft, replaced_by=kept["variant_id"], reason=Reason.POLICY_DEFAULT_VARIANT)
    return recheck(draft, decision.locked)


def differences(decision: Past) -> tuple[Difference, ...]:
    """Return every field of the record that a replay makes otherwise; none, unless something is wrong."""
    kept = {name: value for name, value in decision.record.items() if name not in _NOT_MADE_AGAIN}
    made = record(again(decision), _evidence(decision))
    return tuple(
        Difference(name, kept.get(name), made.get(name))
        for name in sorted(kept.keys() | made.keys() - set(_NOT_MADE_AGAIN))
        if kept.get(name) != made.get(name)
    )


def _evidence(decision: Past) -> Evidence:
    kept = decision.record
    return Evidence(
        subject_key=kept["subject_key"],
        is_holdout=kept["is_holdout"],
        may_personalize=kept["may_personalize"],
        degraded=kept["degraded"],
        settings=decision.asked.settings,
        type_version=kept["versions"]["message_type"],
        model=kept["model"],
        features=kept["features"],
        as_of=kept["features_as_of"],
        service_level=kept.get("service_level"),
    )


def _request(kept: Mapping[str, Any]) -> DecisionRequest:
    return DecisionRequest.model_validate({**kept, "recipient_id": SOMEBODY})


def _profile(kept: Mapping[str, Any]) -> Profile | None:
    if kept["country"] is None and not kept["unreachable"]:
        return None
    channels = {each: Reachability(reachable=False) for each in kept["unreachable"]}
    return Profile(country=kept["country"], channels=channels)


def _allowances(kept: Mapping[str, Any], version: int, read_at: datetime) -> Allowances:
    contacts = tuple(Contact.model_validate(each) for each in kept["contacts"])
    return Allowances(
        version=version,
        consents=tuple(ConsentState.model_validate(each) for each in kept["consents"]),
        switches=tuple(ChannelSwitch.model_validate(each) for each in kept["switches"]),
        suppressions=tuple(Suppression.model_validate(each) for each in kept["suppressions"]),
        is_deleted=kept["is_deleted"],
        paused=frozenset(kept["paused"]),
        choices=Choices(
            preferences=tuple(_preference(each) for each in kept["preferences"]),
            template_name=kept["template"] or "",
            template=tuple(_preference(each) for each in kept["template_preferences"]),
            defaults=tuple(_preference(each) for each in kept["preference_defaults"]),
            sent=tuple(LastSent.model_validate(each) for each in kept["sent"]),
        ),
        budget=ContactBudget.model_validate(kept["budget"]),
        spent=Spent(contacts, dict(kept["used"]), read_at),
        is_known=kept.get("is_known", True),
    )


def _preference(kept: Mapping[str, Any]) -> Preference:
    return Preference.model_validate({name: value for name, value in kept.items() if name != "id"})

"""What is kept of a decision and what is answered: everything needed to repeat it, and to explain it.

The record names nobody: it carries the pseudonym, and of the request what has no recipient in it. What the message
said is not kept, only its language and digest: the variables may hold anything about anybody.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import Field

from domain import sourced_content
from domain.content import RenderedContent
from domain.content_blocks import Block, Blocks
from domain.decisioning import Draft, Score
from domain.explanations import explain
from domain.follow_ups import follow_up
from domain.gates import Allowances, Refusal, Situation, may_use_opens, open_tracking
from domain.ingest import local_time
from domain.legal.tracking import OpenTracking
from domain.policy import PolicyName, StageName
from domain.preferences import Preference
from domain.profiles import Profile
from domain.service_levels import LevelName, Stage
from domain.stages import Settings, by_value
from domain.values import Channel, Frozen, Outcome, Reason


class Versions(Frozen):
    """What made the decision, each in its version."""

    policy: str
    models: dict[str, str] = Field(description="Version of each registered model that was asked; empty when none was.")
    features: str | None = Field(description="Feature service; null when no features were read.")
    rules: str = Field(description="The law's.")
    business_rules: int = Field(default=0, description="The tenant's own; 0 before any were published.")
    message_type: int


class ServedLevel(Frozen):
    """Which stages the decision went through, and whether that took longer than it may."""

    level: LevelName
    stages: tuple[Stage, ...]
    deadline_ms: int | None
    is_late: bool


class DecisionAnswer(Frozen):
    """What to do with the message, why, and with which chance it came out so."""

    decision_id: str
    outcome: Outcome
    channel: Channel | None
    variant_id: str | None
    content: RenderedContent | None
    fallback_channels: tuple[Channel, ...] = Field(description="Other channels the message may take, in order.")
    send_at: datetime | None = Field(description="For a deferral: from when on it may be sent.")
    recheck_by: datetime | None = Field(description="When to ask for the hand-over; a send is valid only now.")
    handover_token: str | None = Field(
        default=None, description="Asks for the hand-over of what is left to do; null when nothing is."
    )
    reason: Reason
    refusals: tuple[Refusal, ...]
    score: Score
    action_probability: float = Field(ge=0, le=1, description="Recorded before the draw; 1.0 when there was none.")
    quality: float | None = Field(
        default=None, ge=0, le=1, description="How fit the content that was drawn is to be sent; null when none was."
    )
    content_blocks: tuple[Block, ...] = Field(
        default=(), description="What filled the slots that the content system may fill: its text, or the default."
    )
    open_tracking: OpenTracking | None = Field(
        default=None, description="Whether the sender may track that this message is opened; null when nothing is sent."
    )
    experiments: tuple[dict[str, str], ...] = ()
    degraded: str | None = Field(description="Which rung of the fallback ladder answered; null when none was needed.")
    service_level: ServedLevel | None = Field(default=None, description="Null when the request named no level.")
    versions: Versions
    explanation: tuple[str, ...] | None


@dataclass(frozen=True)
class Evidence:
    """What a decision stood on besides the draft itself.

    ``features`` is the model's input per permitted channel, by feature name, None where missing. ``as_of`` is the
    moment of each feature view. ``stages_ms`` are wall times.
    """

    subject_key: str
    is_holdout: bool
    may_personalize: bool
    degraded: str | None
    settings: Settings
    type_version: int
    model: Mapping[str, str] | None = None
    features: Mapping[str, Mapping[str, float | None]] | None = None
    as_of: Mapping[str, str | None] | None = None
    stages_ms: Mapping[str, float] | None = None
    service_level: Mapping[str, Any] | None = None


def answer(draft: Draft, evidence: Evidence) -> DecisionAnswer:
    """Return what the caller is told."""
    sends = draft.outcome is Outcome.SEND_NOW
    return DecisionAnswer(
        decision_id=draft.decision_id,
        outcome=draft.outcome,
        channel=draft.action.channel,
        variant_id=draft.action.variant_id,
        content=draft.rendered if sends else None,
        fallback_channels=_fallbacks(draft, evidence.settings) if sends else (),
        send_at=draft.send_at,
        recheck_by=left.due_at if (left := follow_up(draft)) is not None else draft.send_at,
        reason=draft.reason,
        refusals=draft.screened.refusals,
        score=draft.score if draft.action.is_send else Score(),
        action_probability=draft.probability,
        quality=draft.quality.score if draft.quality is not None else None,
        content_blocks=sourced_content.told(_blocks(draft)),
        open_tracking=_tracking(draft),
        degraded=evidence.degraded,
        service_level=ServedLevel.model_validate(evidence.service_level) if evidence.service_level else None,
        versions=_versions(draft, evidence),
        explanation=tuple(explain(record(draft, evidence))) if draft.request.explain else None,
    )


def record(draft: Draft, evidence: Evidence) -> dict[str, Any]:
    """Return everything the decision knew, as JSON-ready values."""
    return {
        "decision_id": draft.decision_id,
        "subject_key": evidence.subject_key,
        "follows": draft.follows.facts() if draft.follows is not None else None,
        **_outcome(draft),
        **_facts(draft),
        "is_holdout": evidence.is_holdout,
        "may_personalize": evidence.may_personalize,
        "degraded": evidence.degraded,
        "service_level": dict(evidence.service_level) if evidence.service_level else None,
        "policy_settings": evidence.settings.model_dump(mode="json"),
        "versions": _versions(draft, evidence).model_dump(mode="json"),
        "model": dict(evidence.model) if evidence.model else None,
        "features": evidence.features,
        "features_as_of": evidence.as_of,
        "stages_ms": evidence.stages_ms,
    }


def _outcome(draft: Draft) -> dict[str, Any]:
    """Return what came out, and every step on the way."""
    tracked = _tracking(draft)
    return {
        "outcome": draft.outcome.value,
        **draft.action.model_dump(mode="json", include={"channel", "variant_id"}),
        "reason": draft.reason.value,
        "action_probability": draft.probability,
        "refusals": [refusal.model_dump(mode="json") for refusal in draft.screened.refusals],
        "permitted": [channel.value for channel in draft.screened.permitted],
        "stages": [stage.model_dump(mode="json") for stage in draft.choice.stages] if draft.choice else [],
        "overridden": draft.overridden.value if draft.overridden else None,
        "content": _content_facts(draft.rendered)
        if draft.outcome is Outcome.SEND_NOW and draft.rendered is not None
        else None,
        "quality": draft.quality.model_dump(mode="json") if draft.quality is not None else None,
        "replaced": draft.choice.action.variant_id if draft.choice is not None and draft.replaced_by else None,
        "expected": _expected_facts(draft),
        "score": draft.score.model_dump(mode="json"),
        "send_at": draft.send_at.isoformat() if draft.send_at else None,
        "open_tracking": tracked.model_dump(mode="json") if tracked is not None else None,
        "may_use_opens": may_use_opens(draft.situation),
        # Absent from all others, as it was before there were content systems.
        **({"blocks": [each.model_dump(mode="json") for each in said]} if (said := _blocks(draft)) else {}),
    }


def _blocks(draft: Draft) -> Blocks:
    """Return what a content system said of what is sent; unlike the rest of the content it names nobody."""
    return draft.blocks if draft.outcome is Outcome.SEND_NOW else ()


def _facts(draft: Draft) -> dict[str, Any]:
    """Return what the gates looked at."""
    request, situation = draft.request, draft.situation
    declared = situation.definition.external_features
    kept = request.model_copy(update={"context": request.context.recorded(declared)})
    return {
        "request": kept.model_dump(
            mode="json", by_alias=True, exclude={"recipient_id": True, "message": {"variables"}}
        ),
        "external_ignored": list(request.context.undeclared(declared)),
        "business_rules": situation.ruled.model_dump(mode="json"),
        "volume_prices": situation.prices.model_dump(mode="json") if situation.prices is not None else None,
        "decided_at": situation.now.isoformat(),
        "zone": str(situation.zone),
        "tenant_zone": situation.tenant_zone.key,
        "country": situation.profile.country if situation.profile else None,
        "consent_version": situation.allowances.version,
        "allowances": _allowance_facts(situation.allowances),
        "read_first": _read_first(draft),
        "unreachable": _unreachable(situation.profile),
        "law": _legal_facts(situation),
        "quiet_hours": situation.quiet.model_dump(mode="json"),
    }


def _tracking(draft: Draft) -> OpenTracking | None:
    """Return whether opens may be tracked on the channel that is sent on."""
    if draft.outcome is not Outcome.SEND_NOW or draft.action.channel is None:
        return None
    return open_tracking(draft.situation, draft.action.channel)


def _expected_facts(draft: Draft) -> dict[str, Any]:
    """Return what models expected; of a week's activity only the hours that could be chosen."""
    told = draft.expected.model_dump(mode="json", exclude={"activity"})
    activity, slot = draft.expected.activity, draft.choice.stage(StageName.SLOT) if draft.choice else None
    if activity is None or slot is None:
        return told | {"activity": None}
    moments = [option.slot or draft.situation.now for option in slot.options]
    hours = sorted({local_time(at, draft.situation.zone)[0] for at in moments})
    kept = {str(hour): activity.log_rates[hour] for hour in hours}
    return told | {"activity": {"source": activity.source, "log_rates": kept}}


def _content_facts(rendered: RenderedContent) -> dict[str, str]:
    said = rendered.model_dump_json(exclude={"locale", "headers"})
    return {"locale": rendered.locale, "sha256": hashlib.sha256(said.encode()).hexdigest()}


def _read_first(draft: Draft) -> dict[str, Any] | None:
    """Return what the decision was drawn from, where the locked reading found something else."""
    first = draft.read_first
    if first is None or first.allowances == draft.situation.allowances:
        return None
    return {"version": first.allowances.version} | _allowance_facts(first.allowances)


def _allowance_facts(allowances: Allowances) -> dict[str, Any]:
    return {
        "consents": [each.model_dump(mode="json") for each in allowances.consents],
        "switches": [each.model_dump(mode="json") for each in allowances.switches],
        "suppressions": [each.model_dump(mode="json") for each in allowances.suppressions],
        "is_deleted": allowances.is_deleted,
        "is_known": allowances.is_known,
        "paused": sorted(allowances.paused),
        "preferences": [_preference_facts(each) for each in allowances.choices.preferences],
        "template": allowances.choices.template_name or None,
        "template_preferences": [_preference_facts(each) for each in allowances.choices.template],
        "preference_defaults": [_preference_facts(each) for each in allowances.choices.defaults],
        "sent": [each.model_dump(mode="json") for each in allowances.choices.sent],
        "budget": allowances.budget.model_dump(mode="json", by_alias=True),
        "contacts": [each.model_dump(mode="json") for each in allowances.spent.contacts],
        "used": dict(allowances.spent.used),
    }


def _legal_facts(situation: Situation) -> dict[str, Any]:
    """Return what the law's gate looked at, enough to run it again under other rules."""
    place = situation.law.place
    return {
        "class": situation.definition.message_class.value,
        "is_emergency": situation.definition.is_emergency,
        "channels": [channel.value for channel in situation.definition.channels],
        "zones": [zone.key for zone in place.zones],
        "countries": sorted(place.countries) if place.countries is not None else None,
        "zone_source": place.source,
        "zone_confidence": place.confidence,
        "complaint_share": situation.law.complaint_share,
    }


def _preference_facts(preference: Preference) -> dict[str, Any]:
    # Custom settings open no gate and may hold anything: they stay out of what outlives the person.
    told = preference.model_dump(mode="json", exclude={"value": {"settings"}, "tags": True, "experiments": True})
    return {"id": preference.preference_id, **told}


def _unreachable(profile: Profile | None) -> list[str]:
    return sorted(channel.value for channel, each in profile.channels.items() if not each.reachable) if profile else []


def _fallbacks(draft: Draft, settings: Settings) -> tuple[Channel, ...]:
    others = [channel for channel in draft.screened.permitted if channel is not draft.action.channel]
    return by_value(others, draft.expected, settings.weights)


def _versions(draft: Draft, evidence: Evidence) -> Versions:
    return Versions(
        policy=draft.choice.policy.value if draft.choice else PolicyName.RULES.value,
        models=dict(draft.expected.models)
        | ({evidence.model["name"]: evidence.model["version"]} if evidence.model else {}),
        features=evidence.model["feature_service"] if evidence.model else None,
        rules=draft.situation.law.rules.version,
        business_rules=draft.situation.ruled.version,
        message_type=evidence.type_version,
    )

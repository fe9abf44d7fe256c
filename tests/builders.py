"""Valid domain objects, one keyword away from the case at hand."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from adapters import legal_rule_files
from domain.consent import ConsentState, ConsentStatus
from domain.decision_request import DecisionRequest
from domain.decisioning import Draft, decide, filled
from domain.expected import ChannelTerms, Expected
from domain.gates import Allowances, Situation, screen
from domain.legal.gate import LegalFacts
from domain.legal.places import Place
from domain.message_types import MessageType
from domain.preferences import Preference
from domain.quiet_hours import QuietHours
from domain.stages import Asked, Settings
from domain.values import ANY_CHANNEL, Channel, Purpose
from domain.volume_prices import VolumePrice, VolumePrices

NOON = datetime(2026, 3, 2, 17, tzinfo=UTC)
"""Noon of a Monday in New York."""
NEW_YORK = ZoneInfo("America/New_York")
RULES = legal_rule_files.published(legal_rule_files.versions()[-1])


def a_request(**fields: Any) -> DecisionRequest:
    message = {"type": "news"} | fields.pop("message", {})
    return DecisionRequest.model_validate({"recipient_id": "r", "message": message} | fields)


def a_type(**fields: Any) -> MessageType:
    """A marketing type on e-mail and push with two variants."""
    content = {"email": {"subject": "s", "body": "b"}, "push": {"body": "b"}}
    given = {
        "type": "news",
        "class": "marketing",
        "category": "news",
        "channels": ["email", "push"],
        "variants": [{"id": "a", "content": content}, {"id": "b", "content": content}],
    }
    return MessageType.model_validate(given | fields)


def a_consent(status: ConsentStatus = ConsentStatus.GIVEN, **fields: Any) -> ConsentState:
    given = {"purpose": Purpose.MARKETING, "channel": ANY_CHANNEL, "effective_at": NOON - timedelta(days=1)}
    return ConsentState.model_validate(given | {"status": status} | fields)


def all_consents() -> tuple[ConsentState, ...]:
    return tuple(a_consent(purpose=purpose) for purpose in (Purpose.MARKETING, Purpose.PERSONALIZATION))


def a_situation(**fields: Any) -> Situation:
    """At noon, with every consent; ``allowances`` may be given as their fields."""
    allowances = fields.pop("allowances", {})
    if isinstance(allowances, dict):
        allowances = Allowances(**({"version": 1, "consents": all_consents()} | allowances))
    law = a_law(**{name: fields.pop(name) for name in ("place", "complaint_share", "rules") if name in fields})
    given = {"definition": a_type(), "profile": None, "law": law, "quiet": QuietHours(), "now": NOON}
    return Situation(**(given | fields), allowances=allowances)


def a_law(**fields: Any) -> LegalFacts:
    """The newest rules for somebody who is surely in New York."""
    given = {"rules": RULES, "place": Place((NEW_YORK,), frozenset({"US"}), "declared", 1.0)}
    return LegalFacts(**(given | fields))


def a_preference(**fields: Any) -> Preference:
    """A preference for everything; what belongs to its value may be given directly."""
    value = {name: fields.pop(name) for name in ("enabled", "frequency", "windows", "settings") if name in fields}
    scope = fields.pop("scope", None)
    document = {"value": value, "scope": scope.model_dump(mode="json") if scope is not None else {}}
    return Preference.model_validate(document | fields)


def a_price(**by_scope: float) -> VolumePrices:
    """Prices of volume by scope: a channel, or the tenant."""
    return VolumePrices(scopes={scope: VolumePrice(price=price, version=1) for scope, price in by_scope.items()})


SETTINGS = Settings(epsilon=0.1, temperature=0.02, send_cost=0.02)


def an_expectation(p_convert: Mapping[Channel, float] | None, **fields: Any) -> Expected:
    """What models expect when one says how likely a conversion is on each channel, or none says anything."""
    channels = {channel: ChannelTerms(p_convert=p, cost=SETTINGS.send_cost) for channel, p in (p_convert or {}).items()}
    return Expected(**({"channels": channels, "is_personal": p_convert is not None} | fields))


def a_decision(
    request: DecisionRequest | None = None,
    situation: Situation | None = None,
    expected: Expected | None = None,
    *,
    is_holdout: bool = False,
    decision_id: str = "d-1",
    settings: Settings = SETTINGS,
) -> Draft:
    """A decision, not recorded yet; by rules unless something is expected."""
    request, situation = request or a_request(), situation or a_situation()
    asked = Asked(decision_id, request, situation, expected or Expected(), is_holdout, settings)
    return filled(decide(asked, screen(request, situation)))

"""Duties: for each rule in force whether it is met here, judged from counts that the stores hold.

A duty of which nothing here can be counted is neither met nor unmet: null, never a guess.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import Field, JsonValue

from domain import consent, one_click, suppression
from domain.legal import replay
from domain.legal.keywords import CONFIRMATION_WINDOW
from domain.legal.replay import Past
from domain.legal.rules import Measure, Rule, RuleSet
from domain.values import Frozen, MessageClass, Outcome, Purpose

_DAYS = {"hours": 1 / 24, "minutes": 1 / 1440, "days": 1.0, "business_days": 1.0, "months": 30.0, "years": 365.0}
"""Shortest length of each unit in days: who keeps that keeps the deadline."""


class Duty(Frozen):
    """One rule, and how it stands."""

    rule: str
    law: str
    jurisdiction: str
    duty: str
    source: str
    is_met: bool | None = Field(description="Null where nothing that is kept here can tell.")
    evidence: dict[str, JsonValue] = Field(description="The counts it was judged by.")


@dataclass(frozen=True)
class StoreCounts:
    """What was counted in the stores, of a tenant or of one recipient; see ``Duty.evidence`` for the meaning."""

    grants: int = 0
    grants_without_proof: int = 0
    opens: int = 0
    opens_without_consent: int = 0
    signals: int = 0
    signals_undone: int = 0
    keyword_revocations: int = 0
    keyword_revocations_undone: int = 0
    erasures_open: int = 0
    erasures_overdue: int = 0
    mail_types: int = 0
    mail_types_unfit: int = 0
    complaint_share: float | None = None


@dataclass
class DecisionCounts:
    """What was counted in recorded decisions."""

    decisions: int = 0
    without_facts: int = 0
    unexplained: int = 0
    marketing_sends: int = 0
    against_consent: int = 0
    against_objection: int = 0
    scored: int = 0
    holdout: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    breaches: Counter[str] = field(default_factory=Counter)
    """Messages sent while a rule forbade them, by rule."""

    def add(self, record: Mapping[str, object], known: Past | None, rules: RuleSet) -> None:
        """Count one decision under the rules that are in force now."""
        self.decisions += 1
        self.outcomes[str(record.get("outcome"))] += 1
        self.scored += _is_scored(record)
        self.holdout += record.get("is_holdout") is True
        self.unexplained += not (record.get("reason") and record.get("versions"))
        if known is None:
            self.without_facts += 1
            return
        channel = known.channel
        if known.outcome is not Outcome.SEND_NOW or channel is None:
            return
        self.breaches.update(replay.broken(known, rules, channel))
        if known.message_class is not MessageClass.MARKETING:
            return
        self.marketing_sends += 1
        refused = consent.refusal(known.consents, purpose=Purpose.MARKETING, channel=channel, now=known.decided_at)
        listed = suppression.refusal(known.suppressions, channel=channel, message_class=known.message_class)
        self.against_consent += refused is not None
        self.against_objection += known.is_deleted or listed is not None


def _is_scored(record: Mapping[str, object]) -> bool:
    expected = record.get("expected")
    return isinstance(expected, Mapping) and expected.get("is_personal") is True


def overdue_after(rules: RuleSet, rule_id: str = "gdpr.access") -> timedelta:
    """Return how long a request may wait by a rule's deadline; 30 days where the rule is not there."""
    rule = rules.rule(rule_id)
    deadline = rule.deadline if rule is not None else None
    return timedelta(days=deadline.amount * _DAYS[deadline.unit]) if deadline is not None else timedelta(days=30)


def judged(rules: Iterable[Rule], stored: StoreCounts, decided: DecisionCounts) -> tuple[Duty, ...]:
    """Return every rule with whether it is met."""
    return tuple(_duty(rule, stored, decided) for rule in rules)


Verdict = tuple[bool | None, dict[str, JsonValue]]


def _duty(rule: Rule, stored: StoreCounts, decided: DecisionCounts) -> Duty:
    check = _CHECKS.get(rule.id)
    if check is not None:
        is_met, evidence = check(rule, stored, decided)
    elif rule.window is not None or rule.cap is not None:
        is_met, evidence = _kept(rule, stored, decided)
    else:
        is_met, evidence = None, {}
    told = rule.model_dump(mode="json", include={"law", "jurisdiction", "duty", "source"})
    return Duty.model_validate({"rule": rule.id, "is_met": is_met, "evidence": evidence, **told})


def _kept(rule: Rule, stored: StoreCounts, decided: DecisionCounts) -> Verdict:
    """Judge hours and caps by every message that was decided to be sent."""
    against = decided.breaches[rule.id]
    evidence: dict[str, JsonValue] = {"decisions": decided.decisions, "sent_against_it": against}
    if rule.cap is not None and rule.cap.measure is Measure.COMPLAINT_SHARE:
        evidence |= {"complaint_share": stored.complaint_share, "limit": rule.cap.limit}
    return against == 0, evidence


def _consent(_: Rule, stored: StoreCounts, decided: DecisionCounts) -> Verdict:
    met = stored.grants_without_proof == 0 and decided.against_consent == 0
    return met, {
        "consents_given": stored.grants,
        "without_full_proof": stored.grants_without_proof,
        "marketing_sent": decided.marketing_sends,
        "sent_without_consent": decided.against_consent,
    }


def _withdrawal(_: Rule, __: StoreCounts, decided: DecisionCounts) -> Verdict:
    sent = {"marketing_sent": decided.marketing_sends, "sent_without_consent": decided.against_consent}
    return decided.against_consent == 0, {**sent}


def _access(_: Rule, stored: StoreCounts, __: DecisionCounts) -> Verdict:
    evidence = {"erasures_open": stored.erasures_open, "erasures_overdue": stored.erasures_overdue}
    return stored.erasures_overdue == 0, {**evidence}


def _objection(_: Rule, __: StoreCounts, decided: DecisionCounts) -> Verdict:
    evidence = {"marketing_sent": decided.marketing_sends, "sent_after_objection": decided.against_objection}
    return decided.against_objection == 0, {**evidence}


def _explanation(_: Rule, __: StoreCounts, decided: DecisionCounts) -> Verdict:
    evidence = {"decisions": decided.decisions, "without_reason_or_versions": decided.unexplained}
    return decided.unexplained == 0, {**evidence}


def _opens(_: Rule, stored: StoreCounts, __: DecisionCounts) -> Verdict:
    evidence = {"opens_of_mail": stored.opens, "measured_without_consent": stored.opens_without_consent}
    return stored.opens_without_consent == 0, {**evidence}


def _signal(_: Rule, stored: StoreCounts, __: DecisionCounts) -> Verdict:
    return stored.signals_undone == 0, {"signals": stored.signals, "not_in_force": stored.signals_undone}


def _mail(_: Rule, stored: StoreCounts, __: DecisionCounts) -> Verdict:
    evidence = {"marketing_mail_types": stored.mail_types, "without_address_or_way_out": stored.mail_types_unfit}
    return stored.mail_types_unfit == 0, {**evidence}


def _link_life(rule: Rule, _: StoreCounts, __: DecisionCounts) -> Verdict:
    wanted = rule.deadline.amount * _DAYS[rule.deadline.unit] if rule.deadline is not None else 0
    return wanted <= one_click.LIFE.days, {"link_works_days": one_click.LIFE.days, "demanded_days": wanted}


def _keywords(rule: Rule, stored: StoreCounts, __: DecisionCounts) -> Verdict:
    evidence: dict[str, JsonValue] = {
        "keywords": list(rule.keywords),
        "revocations": stored.keyword_revocations,
        "not_in_force": stored.keyword_revocations_undone,
    }
    return stored.keyword_revocations_undone == 0, evidence


def _confirmation(rule: Rule, _: StoreCounts, __: DecisionCounts) -> Verdict:
    window = CONFIRMATION_WINDOW / timedelta(minutes=1)
    allowed = rule.deadline.amount * _DAYS[rule.deadline.unit] * 1440 if rule.deadline is not None else 0.0
    return window <= allowed + 1e-9, {"confirmed_within_minutes": window, "allowed_minutes": round(allowed, 3)}


_CHECKS: Mapping[str, Callable[[Rule, StoreCounts, DecisionCounts], Verdict]] = {
    "gdpr.consent": _consent,
    "gdpr.withdrawal": _withdrawal,
    "gdpr.access": _access,
    "gdpr.objection": _objection,
    "gdpr.explanation": _explanation,
    "cnil.open_tracking": _opens,
    "ccpa.opt_out_signal": _signal,
    "can_spam.postal_address": _mail,
    "can_spam.opt_out": _mail,
    "can_spam.opt_out_life": _link_life,
    "tcpa.keywords": _keywords,
    "tcpa.confirmation": _confirmation,
    "mailbox.one_click": _mail,
}

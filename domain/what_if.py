"""What if: recorded decisions under another policy, other caps or other hours, everything else as it was.

Each decision is asked by itself, with the history that really was: what an earlier decision would have changed for a
later one is not followed up. A change may close what was open; what it opens was never tried, and is told as such.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from domain.calendar_units import CalendarUnit
from domain.contact_budget import BudgetRule, ContactBudget, Scope
from domain.decision_replay import Past
from domain.decisioning import Draft, decide
from domain.digests import collected_until
from domain.expected import Expected, VariantScores
from domain.gates import Situation, screen
from domain.policy import NO_SEND, Action, PolicyName, StageName, VariantPolicy
from domain.quiet_hours import QuietHours
from domain.stages import Asked, Settings, channel_stage, variant_stage
from domain.values import ANY_CHANNEL, Channel

LATER = "later"
"""The action of a message that a gate holds back until another hour."""
NOTHING = "nothing"


class BadChange(ValueError):
    """A change cannot be read; says which and what was expected."""


class PolicyOfAll(StrEnum):
    """The policy of the channel, for every decision."""

    AS_IT_WAS = "as_it_was"
    BY_VALUE = "epsilon_softmax"
    RULES = "rules"
    UNIFORM = "uniform"


@dataclass(frozen=True)
class Changes:
    """What is asked to be otherwise; empty for nothing."""

    policy: PolicyOfAll = PolicyOfAll.AS_IT_WAS
    caps: tuple[BudgetRule, ...] = ()
    quiet: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[str, float] = field(default_factory=dict)
    variant_policy: VariantPolicy | None = None

    def variants_of(self, decision: Past) -> PolicyName | None:
        """Return the policy by which the decision's variants must be scored anew; None where they stay as they were."""
        were = next(iter(decision.asked.expected.variants.values()), None)
        if self.policy is PolicyOfAll.RULES or were is None:
            return None
        wanted = self.variant_policy.in_its_version if self.variant_policy else were.policy
        is_respread = wanted is PolicyName.EPSILON_SOFTMAX and not self.settings.keys().isdisjoint(_SPREAD)
        return wanted if wanted is not were.policy or is_respread else None

    def of(self, decision: Past, variants: Mapping[Channel, VariantScores] | None = None) -> Asked:
        """Return what the decision would have been asked.

        Args:
            decision: as it was.
            variants: scored anew by ``variants_of``; None leaves them.
        """
        asked = decision.asked
        expected = asked.expected if variants is None else asked.expected.model_copy(update={"variants": variants})
        return replace(
            asked,
            situation=self._situation(asked.situation),
            expected=Expected() if self.policy is PolicyOfAll.RULES else expected,
            is_holdout=asked.is_holdout if self.policy is PolicyOfAll.AS_IT_WAS else self.policy is PolicyOfAll.UNIFORM,
            settings=Settings.model_validate(asked.settings.model_dump() | dict(self.settings)),
        )

    def _situation(self, was: Situation) -> Situation:
        quiet = QuietHours.model_validate(was.quiet.model_dump() | dict(self.quiet))
        replaced = {rule.id for rule in self.caps}
        kept = [rule for rule in was.allowances.budget.rules if rule.id not in replaced]
        budget = ContactBudget(rules=(*kept, *self.caps))
        return replace(was, quiet=quiet, allowances=replace(was.allowances, budget=budget))


_SPREAD = frozenset({"epsilon", "temperature"})
_SETTINGS = ("epsilon", "temperature", "send_cost", "slot_epsilon", "slot_temperature", "activity_weight")


def changes(policy: str | None, given: Sequence[str]) -> Changes:
    """Read changes as they are written on a command line.

    Args:
        policy: ``epsilon_softmax``, ``rules``, ``uniform``, or None to leave it.
        given: ``cap.<channel or *>.<minute, hour, day, week or month>=N``, ``quiet_hours.start=H``,
            ``quiet_hours.end=H``, ``variant_policy=P``, or one of the policy's settings, as ``epsilon=0.05``.

    Raises:
        BadChange: one of them cannot be read.
    """
    caps, quiet, settings, variant_policy = [], {}, {}, None
    for each in given:
        name, _, value = each.partition("=")
        parts = name.split(".")
        if parts[0] == "cap" and len(parts) == len(("cap", "channel", "unit")):
            caps.append(_cap(each, parts[1], parts[2], value))
        elif name in {"quiet_hours.start", "quiet_hours.end"}:
            quiet[parts[1]] = int(_number(each, value))
        elif name == "variant_policy":
            variant_policy = _variant_policy(each, value)
        elif name in _SETTINGS:
            settings[name] = _number(each, value)
        else:
            known = f"cap.<channel>.<unit>, quiet_hours.start, quiet_hours.end, {', '.join(_SETTINGS)}"
            raise BadChange(f"{each}: expected one of {known}, then = and a number, or variant_policy=<policy>")
    try:
        of_all = PolicyOfAll(policy) if policy else PolicyOfAll.AS_IT_WAS
        return Changes(of_all, tuple(caps), quiet, settings, variant_policy)
    except ValueError:
        raise BadChange(f"policy {policy}: expected {', '.join(PolicyOfAll)}") from None


def _cap(written: str, channel: str, unit: str, value: str) -> BudgetRule:
    try:
        scope = Scope() if channel == ANY_CHANNEL else Scope(channel=Channel(channel))
        limit = int(_number(written, value))
        name = "any" if channel == ANY_CHANNEL else channel
        return BudgetRule(id=f"what_if_{name}_{unit}", scope=scope, limit=limit, calendar=CalendarUnit(unit))
    except (ValueError, ValidationError):
        units = ", ".join(CalendarUnit)
        expected = f"cap.<{', '.join(Channel)} or *>.<{units}>=<how many, at least 0>"
        raise BadChange(f"{written}: expected {expected}") from None


def _variant_policy(written: str, value: str) -> VariantPolicy:
    try:
        return VariantPolicy(value)
    except ValueError:
        raise BadChange(f"{written}: expected one of {', '.join(VariantPolicy)} after =") from None


def _number(written: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise BadChange(f"{written}: expected a number after =") from None


def drawn(asked: Asked) -> Draft:
    """Return what the decision would have been, with the draws it had."""
    return decide(asked, screen(asked.request, asked.situation))


def distribution(asked: Asked) -> dict[str, float]:
    """Return the chance of every action by its name: ``channel/variant``, ``nothing`` or ``later``; they sum to 1.

    The hour is left out: it is drawn after these, and from the same chances whatever they are.
    """
    screened = screen(asked.request, asked.situation)
    if collected_until(asked, screened) is not None:
        return {LATER: 1.0}
    if not screened.permitted:
        return {LATER if drawn(asked).send_at is not None else NOTHING: 1.0}
    stage = channel_stage(asked, screened.permitted)
    found: dict[str, float] = {}
    for option, chance in zip(stage.options, stage.probabilities, strict=True):
        if not option.is_send:
            found[NOTHING] = chance
            continue
        inner = variant_stage(asked, option)
        for variant, share in zip(inner.options, inner.probabilities, strict=True):
            found[name_of(variant)] = chance * share
    return found


def name_of(action: Action) -> str:
    """Return the name of an action."""
    return NOTHING if action == NO_SEND or action.channel is None else f"{action.channel.value}/{action.variant_id}"


def taken(record: Mapping[str, Any]) -> tuple[str, float]:
    """Return what was done by a recorded decision, and the chance it had, the hour's left out."""
    if record["channel"] is None and record["send_at"] is not None:
        return LATER, 1.0
    if record["overridden"] is not None or record["channel"] is None:
        chances = [_chance(stage) for stage in record["stages"] if record["overridden"] is None]
        return NOTHING, chances[0] if chances else 1.0
    chance = 1.0
    for stage in record["stages"]:
        if stage["name"] != StageName.SLOT:
            chance *= _chance(stage)
    return f"{record['channel']}/{record['variant_id']}", chance


def _chance(stage: Mapping[str, Any]) -> float:
    return float(stage["probabilities"][stage["chosen"]])

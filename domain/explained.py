"""A decision explained from its record in three voices: to the recipient, to an operator, and to a regulator.

Facts are told as facts; what a model expects is "associated with" an outcome, never its cause.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from domain.expected import ChannelTerms
from domain.explanations import explain
from domain.stages import Settings
from domain.values import Channel, Frozen, Outcome, Reason

GATES = (
    "expiry", "window", "pause", "recipient", "law", "suppression", "consent", "channel", "preference",
    "quiet_hours", "rule", "hook", "budget",
)  # fmt: skip
"""Every gate; a channel that is permitted passed all of those that bind its message's class."""


class Voice(StrEnum):
    """Whom an explanation is for."""

    RECIPIENT = "recipient"
    OPERATOR = "operator"
    REGULATOR = "regulator"


_TO_RECIPIENT = {
    "expiry": "The message was no longer current.",
    "window": "It was outside the hours the sender planned for this message.",
    "pause": "The sender has paused its messages.",
    "law": "The law where you are, or may be, does not allow such a message at this time.",
    "recipient": "You asked for your data to be deleted.",
    "suppression": "Your address is on a list of addresses that get no such messages.",
    "consent": "You have not agreed to such messages here, or no longer do.",
    "channel": "This way of reaching you is switched off, not reachable or not used for this message.",
    "rule": "A rule of the sender left this message out.",
    "hook": "A system of the sender left this message out.",
    "preference": "Your own settings say no to such a message now.",
    "quiet_hours": "It was night where you are.",
    "budget": "You had enough messages for now.",
    "policy": "Several messages were possible, and a draw by chance, weighted by what is expected, chose.",
    "handover": "The message was checked again right before it was sent.",
}
"""What each gate says to the person a message was for."""


class Likely(Frozen):
    """One option of a stage and its chance before the draw."""

    option: dict[str, str | None]
    probability: float


class StageExplained(Frozen):
    """What a stage drew, what came next, and whether chance chose another than the likeliest."""

    stage: str
    policy: str
    chosen: Likely
    runner_up: Likely | None
    chosen_by_chance: bool


class Terms(Frozen):
    """The value of one channel in conversions, term by term."""

    visit: float
    conversion: float
    opt_out: float
    cost: float
    value: float
    price: float
    net: float


def gates_passed(record: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the gates that each permitted channel passed, by channel."""
    return dict.fromkeys(record["permitted"], GATES)


def stages_of(record: Mapping[str, Any]) -> tuple[StageExplained, ...]:
    """Return each stage with its runner-up."""
    return tuple(_stage(each) for each in record["stages"])


def _stage(stage: Mapping[str, Any]) -> StageExplained:
    chances = stage["probabilities"]
    ranked = sorted(range(len(chances)), key=lambda place: (-chances[place], place))
    others = [place for place in ranked if place != stage["chosen"]]
    chosen = _likely(stage, stage["chosen"])
    return StageExplained(
        stage=stage["name"],
        policy=stage["policy"],
        chosen=chosen,
        runner_up=_likely(stage, others[0]) if others else None,
        chosen_by_chance=chosen.probability < max(chances),
    )


def _likely(stage: Mapping[str, Any], place: int) -> Likely:
    return Likely(option=stage["options"][place], probability=stage["probabilities"][place])


def terms_of(record: Mapping[str, Any]) -> dict[Channel, Terms]:
    """Return the terms of the value by channel; empty where nothing was valued."""
    weights = Settings.model_validate(record["policy_settings"]).weights
    found = {}
    for name, kept in record["expected"]["channels"].items():
        terms = ChannelTerms.model_validate(kept)
        if terms.p_convert is None:
            continue
        parts = terms.terms(weights)
        found[Channel(name)] = Terms(**parts, value=terms.value(weights), price=terms.price, net=terms.net(weights))
    return found


def sentences(record: Mapping[str, Any], voice: Voice) -> list[str]:
    """Return the explanation in sentences, the most important first."""
    if voice is Voice.RECIPIENT:
        return _to_recipient(record)
    if voice is Voice.REGULATOR:
        return [*explain(record), *_to_regulator(record)]
    return explain(record)


def _to_recipient(record: Mapping[str, Any]) -> list[str]:
    if record["outcome"] == Outcome.SEND_NOW.value:
        told = ["You got this message because you may be sent it here, and nothing you chose stands against it."]
    elif record["outcome"] == Outcome.SUPPRESS.value:
        told = [f"You were not sent this message. {_gate_sentence(record['reason'])}"]
    else:
        told = [f"This message waits. {_gate_sentence(record['reason'])}"]
    others = dict.fromkeys(_gate_sentence(each["reason"]) for each in record["refusals"])
    told += [f"Other ways of reaching you were left out: {each}" for each in others if each not in told[0]]
    if any(len(stage["options"]) > 1 for stage in record["stages"]):
        told.append("Part of the choice was drawn by chance, so that the sender can learn what people find useful.")
    used = "was" if record["expected"]["is_personal"] else "was not"
    return [*told, f"What is known of your use of earlier messages {used} part of it."]


def _gate_sentence(reason: str) -> str:
    return _TO_RECIPIENT[Reason(reason).value.split(".")[0]]


def _to_regulator(record: Mapping[str, Any]) -> list[str]:
    versions, law = record["versions"], record["law"]
    models = ", ".join(f"{name} {version}" for name, version in versions["models"].items()) or "none"
    consents = [
        f"{each['purpose']} on {each['channel']}: {each['status']}" for each in record["allowances"]["consents"]
    ]
    allowed, used = ("" if yes else "not " for yes in (record["may_personalize"], record["expected"]["is_personal"]))
    chance = f"{record['action_probability']:.6g}"
    return [
        f"The message is of the class {law['class']}; rules of law in version {versions['rules']} were applied.",
        f"Consent as read under lock at the decision: {'; '.join(consents) or 'none recorded'}.",
        f"Decided by policy {versions['policy']}, models {models}; no person took part in it.",
        f"Personalization was {allowed}allowed; personal features were {used}used.",
        f"The chance of what was done was {chance}, fixed before the draw; the record is enough to decide it again.",
    ]

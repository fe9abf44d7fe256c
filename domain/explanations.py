"""Explanations: why a decision came out as it did, in sentences made from its record alone."""

from collections.abc import Mapping
from typing import Any

from domain.policy import StageName
from domain.values import Outcome, Reason

SENTENCES = {
    Reason.EXPIRY_PASSED: "The message had expired.",
    Reason.EXPIRY_BEFORE_OPENING: "The message would have expired before it could be sent.",
    Reason.WINDOW_PASSED: "The hours the request named for the delivery have passed.",
    Reason.WINDOW_NOT_OPEN: "The hours the request named for the delivery have not begun.",
    Reason.PAUSE_TENANT: "An operator has paused everything.",
    Reason.PAUSE_CHANNEL: "An operator has paused this channel.",
    Reason.LAW_HOURS_CLOSED: "The law allows no such message at this hour where the recipient is, or may be.",
    Reason.LAW_COMPLAINT_STOP: "Too many recipients complained about e-mail lately; mailbox providers demand a stop.",
    Reason.LAW_NO_OPENING: "No hour is allowed in every time zone the recipient may be in.",
    Reason.RECIPIENT_DELETED: "The recipient was deleted.",
    Reason.SUPPRESSION_BOUNCED: "Messages to this channel bounced for good.",
    Reason.SUPPRESSION_COMPLAINED: "The recipient complained about a message on this channel.",
    Reason.SUPPRESSION_LISTED: "The recipient's address is on the suppression list.",
    Reason.SUPPRESSION_OBJECTED: "The recipient objected to this use of their data.",
    Reason.CONSENT_MISSING: "The recipient has not consented.",
    Reason.CONSENT_REFUSED: "The recipient refused consent.",
    Reason.CONSENT_WITHDRAWN: "The recipient withdrew consent.",
    Reason.CONSENT_EXPIRED: "The recipient's consent has expired.",
    Reason.CONSENT_UNAVAILABLE: "Nobody could say what the recipient allows: the store of consent did not answer.",
    Reason.CHANNEL_SWITCHED_OFF: "The recipient switched this channel off.",
    Reason.CHANNEL_UNREACHABLE: "The recipient cannot be reached on this channel.",
    Reason.CHANNEL_NOT_OFFERED: "The message type does not offer this channel.",
    Reason.CHANNEL_NOT_ASKED: "The request left this channel out.",
    Reason.HOOK_REFUSED: "A hook of this installation takes no such messages here.",
    Reason.RULE_EXCLUDED: "A rule of the sender excludes such messages here.",
    Reason.RULE_REQUIRED: "A rule of the sender requires another channel or other words.",
    Reason.PREFERENCE_OFF: "The recipient chose not to get such messages here.",
    Reason.PREFERENCE_OUTSIDE_WINDOW: "It is outside the hours the recipient chose for such messages.",
    Reason.PREFERENCE_FREQUENCY: "The recipient chose to get such messages less often.",
    Reason.QUIET_HOURS_NOW: "It is quiet hours where the recipient is.",
    Reason.BUDGET_RECIPIENT: "The recipient was contacted as often as the sender allows itself for now.",
    Reason.BUDGET_CAPACITY: "The channel carries no more for now.",
    Reason.POLICY_SAMPLED: "The policy drew this action among those allowed.",
    Reason.POLICY_NO_SEND: "The policy drew sending nothing among the actions allowed.",
    Reason.POLICY_RULES: "No model spoke to this recipient, so the published order of channels decided.",
    Reason.POLICY_SLOT: "The policy drew a later hour among those allowed.",
    Reason.POLICY_DEFAULT_VARIANT: "What was drawn was not good enough to be sent, so the default variant answered.",
    Reason.POLICY_SINGLE: "Only one action was allowed.",
    Reason.POLICY_SETTLED: "This was drawn when the message was deferred.",
    Reason.POLICY_DIGEST: "It waits for the recipient's digest.",
    Reason.HANDOVER_IN_DIGEST: "It goes with the recipient's digest and not by itself.",
    Reason.HANDOVER_SINGLY: "The messages of the digest go by themselves.",
    Reason.HANDOVER_NOT_DUE: "The moment until which the message waits has not come.",
    Reason.HANDOVER_DONE: "The message was handed over before.",
    Reason.HANDOVER_REACHED: "The message reached the recipient, so no other channel is tried.",
    Reason.HANDOVER_WITHDRAWN: "What was to be said is no longer published.",
}
"""One sentence for each reason; a test walks the list."""

_OUTCOMES = {
    Outcome.SEND_NOW.value: "Send now",
    Outcome.DEFER.value: "Wait",
    Outcome.SUPPRESS.value: "Do not send",
}
_DEGRADED = {
    "rules": "No verified model was loaded.",
    "stale_features": "The recipient's features were more than 26 hours old.",
    "missing_features": "The recipient's features were missing or more than 50 hours old.",
    "features_unavailable": "The online features did not answer in time.",
    "tenant_default": "The store of consent did not answer, so that the type's own order of channels decided.",
    "consent_unavailable": "The store of consent did not answer, so that nothing but owed messages could be sent.",
    "deadline": "Nothing was left of the time of the service level, so no features were read.",
}


def explain(record: Mapping[str, Any]) -> list[str]:
    """Return the reasons of a recorded decision, the most important first.

    Args:
        record: the decision's record as it is stored.
    """
    sentences = [_headline(record)]
    sentences += [f"{each['channel']}: {SENTENCES[Reason(each['reason'])]}" for each in record["refusals"]]
    if fired := (record.get("business_rules") or {}).get("fired"):
        sentences.append(f"Rules of the sender that applied: {', '.join(each['rule'] for each in fired)}.")
    sentences += _prices(record)
    stages = record["stages"]
    sentences += [_chances(stage) for stage in stages if len(stage["options"]) > 1]
    if models := (record.get("versions") or {}).get("models"):
        told = ", ".join(f"{name} version {version}" for name, version in sorted(models.items()))
        sentences.append(f"Models that were asked: {told}.")
    if record.get("overridden") is not None:
        sentences.append("This was found after the draw, when the decision was recorded, and overrode it.")
    if record.get("is_holdout") and stages:
        sentences.append("The recipient belongs to the 5 % for whom every allowed action has the same chance.")
    if not record["may_personalize"]:
        sentences.append("The recipient does not allow personalization, so no features were read.")
    if record["degraded"] is not None:
        sentences.append(_DEGRADED[record["degraded"]])
    if record.get("send_at") is not None:
        sentences.append(f"It may be sent from {record['send_at']}.")
    return sentences


def _prices(record: Mapping[str, Any]) -> list[str]:
    """Return what volume cost, where the price moved a chance: by rules and in the hold-out it does not."""
    if record.get("volume_prices") is None:
        return []
    valued = {name: each for name, each in record["expected"]["channels"].items() if each["p_convert"] is not None}
    told = [f"{name} {each['price']:.4g}" for name, each in valued.items() if each.get("price")]
    if not told or record.get("is_holdout"):
        return []
    said = f"The price of volume came off the value, in conversions a message: {', '.join(told)}."
    return [said, _STALE] if record["volume_prices"]["is_stale"] else [said]


_STALE = "That price is the last one known: its store had not answered lately."


def _headline(record: Mapping[str, Any]) -> str:
    where = f" on {record['channel']}, variant {record['variant_id']}" if record["channel"] is not None else ""
    return f"{_OUTCOMES[record['outcome']]}{where}: {SENTENCES[Reason(record['reason'])]}"


def _chances(stage: Mapping[str, Any]) -> str:
    pairs = zip(stage["options"], stage["probabilities"], strict=True)
    ranked = sorted(pairs, key=lambda pair: -pair[1])
    told = ", ".join(f"{_name(stage['name'], option)} {100 * chance:.1f} %" for option, chance in ranked[:_MOST_TOLD])
    rest = len(ranked) - _MOST_TOLD
    return f"The chances before the draw of the {stage['name']} were: {told}{f' and {rest} more' if rest > 0 else ''}."


_MOST_TOLD = 8


def _name(stage: str, option: Mapping[str, Any]) -> str:
    if stage == StageName.SLOT:
        return option["slot"] or "now"
    if stage == StageName.VARIANT:
        return str(option["variant_id"])
    return option["channel"] or "nothing"

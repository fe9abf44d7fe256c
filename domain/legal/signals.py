"""Opt-out signals: a browser speaks for its user with a header; what the rules of the user's place make of it.

A signal only ever takes a permission away. Its absence says nothing, so it brings nothing back.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from pydantic import JsonValue

from domain import consent
from domain.consent import ConsentChange, ConsentState, ConsentStatus
from domain.legal.rules import Rule, RuleSet
from domain.values import ANY_CHANNEL, Channel, Purpose, Reason

SOURCE = "opt_out_signal"
GPC_HEADER, GPC_VALUE = "Sec-GPC", "1"
_DENIED = frozenset({Reason.CONSENT_REFUSED, Reason.CONSENT_WITHDRAWN})


def heard(rules: RuleSet, headers: Mapping[str, str]) -> tuple[Rule, ...]:
    """Return the rules whose signal stands in the headers; their names are looked up as the mapping does it."""
    return tuple(
        rule
        for rule in rules.rules
        if rule.signal is not None and headers.get(rule.signal.header, "").strip() == rule.signal.value
    )


def withdrawals(
    said: Iterable[Rule],
    rules: RuleSet,
    countries: frozenset[str] | None,
    standing: Sequence[ConsentState],
    *,
    now: datetime,
    proof: Mapping[str, JsonValue],
) -> Iterator[ConsentChange]:
    """Yield what a signal withdraws of somebody, each with its proof; nothing that is withdrawn on every channel.

    Args:
        said: the rules that were heard.
        rules: the rule set.
        countries: where the person may be; None when nothing is known, which every rule then reaches.
        standing: where the person's consents stand.
        now: the tenant's clock.
        proof: how the signal came.
    """
    in_force = {rule.id for rule in rules.applying(countries)}
    done: set[Purpose] = set()
    for rule in said:
        if rule.id not in in_force or rule.signal is None:
            continue
        for purpose in rule.signal.withdraws:
            if purpose in done or _is_withdrawn(standing, purpose, now):
                continue
            done.add(purpose)
            yield ConsentChange(
                purpose=purpose,
                channel=ANY_CHANNEL,
                status=ConsentStatus.WITHDRAWN,
                source=SOURCE,
                proof={"header": rule.signal.header, "value": rule.signal.value, "rule": rule.id, **proof},
            )


def _is_withdrawn(standing: Sequence[ConsentState], purpose: Purpose, now: datetime) -> bool:
    """Tell whether nothing is left to withdraw, also for a channel nobody has spoken of yet."""
    is_general = any(
        each.purpose is purpose and each.channel == ANY_CHANNEL and each.status.is_denial for each in standing
    )
    reasons = (consent.refusal(standing, purpose=purpose, channel=channel, now=now) for channel in Channel)
    return is_general and all(reason in _DENIED or reason is Reason.CONSENT_EXPIRED for reason in reasons)

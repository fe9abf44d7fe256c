"""One decision: from what is known to what is done, in pure steps that can be repeated byte for byte.

Probabilities are fixed before the draw. A refusal found when the decision is recorded makes it ``suppress``; there is
never a second draw.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pydantic import Field

from domain import content, policy, timing
from domain.content import RenderedContent
from domain.decision_request import DecisionRequest
from domain.gates import Refusal, Screened, Situation, next_opening, opening, screen
from domain.policy import NO_SEND, Action, Choice, PolicyName
from domain.values import Channel, Frozen, MessageClass, Outcome, Reason


class Settings(Frozen):
    """The policy's constants; recorded with each decision, so that a replay needs nothing else."""

    epsilon: float = Field(gt=0, lt=1)
    temperature: float = Field(gt=0)
    send_cost: float = Field(ge=0)


class Score(Frozen):
    """What the model expects of the action taken; null where no model speaks to it."""

    p_open: float | None = None
    p_convert: float | None = None
    p_opt_out: float | None = None
    value: float | None = None
    price: float | None = None


@dataclass(frozen=True)
class Draft:
    """A decision before it is recorded; ``overridden`` is a refusal found at the last moment, after the draw."""

    decision_id: str
    request: DecisionRequest
    situation: Situation
    screened: Screened
    outcome: Outcome
    reason: Reason
    choice: Choice | None = None
    scores: Mapping[Channel, float] | None = None
    send_at: datetime | None = None
    rendered: RenderedContent | None = None
    score: Score = field(default_factory=Score)
    overridden: Reason | None = None

    @property
    def action(self) -> Action:
        """The action taken; sending nothing when no policy was asked or a late refusal overrode it."""
        return self.choice.action if self.choice is not None and self.overridden is None else NO_SEND

    @property
    def probability(self) -> float:
        """The chance of what was done; 1.0 when the gates left no choice, at first or at last."""
        return self.choice.probability if self.choice is not None and self.overridden is None else 1.0


def without_choice(decision_id: str, request: DecisionRequest, situation: Situation, screened: Screened) -> Draft:
    """Return the decision of a message that may go nowhere now: later if waiting helps, otherwise never."""
    reasons = [refusal.reason for refusal in screened.refusals]
    waiting = [refusal for refusal in screened.refusals if refusal.reason.is_temporary]
    if not waiting:
        return Draft(decision_id, request, situation, screened, Outcome.SUPPRESS, _leading(reasons))
    openings = [(at, each.reason) for each in waiting if (at := opening(request, situation, each.channel)) is not None]
    if not openings:
        is_never_allowed = all(next_opening(situation, each.channel) is None for each in waiting)
        reason = Reason.LAW_NO_OPENING if is_never_allowed else _leading(reasons)
        return Draft(decision_id, request, situation, screened, Outcome.SUPPRESS, reason)
    opens_at, held = min(openings, key=lambda each: each[0])
    too_late = timing.deferral_refusal(request.message.expires_at, opens_at=opens_at)
    if too_late is not None:
        return Draft(decision_id, request, situation, screened, Outcome.SUPPRESS, too_late)
    return Draft(decision_id, request, situation, screened, Outcome.DEFER, held, send_at=opens_at)


def choose(
    decision_id: str,
    request: DecisionRequest,
    situation: Situation,
    screened: Screened,
    *,
    p_convert: Mapping[Channel, float] | None,
    is_holdout: bool,
    settings: Settings,
) -> Draft:
    """Choose among the permitted actions.

    Args:
        decision_id: keys the draw.
        request: what was asked.
        situation: what is known.
        screened: at least one channel is permitted.
        p_convert: the model's probability of a conversion per permitted channel, None to decide by rules.
        is_holdout: the recipient belongs to the share that always gets the uniform policy.
        settings: the policy's constants.
    """
    actions = _actions(situation, screened)
    name, probabilities = _distribution(actions, p_convert, is_holdout=is_holdout, settings=settings)
    choice = policy.choose(name, actions, probabilities, decision_id=decision_id)
    outcome = Outcome.SEND_NOW if choice.action.is_send else Outcome.SUPPRESS
    return Draft(
        decision_id,
        request,
        situation,
        screened,
        outcome,
        _policy_reason(choice, name),
        choice=choice,
        scores=p_convert,
        rendered=_render(choice.action, request, situation),
        score=_score(choice.action, p_convert, settings),
    )


def recheck(draft: Draft, situation: Situation) -> Draft:
    """Return the decision after the locked reading of what the recipient allows.

    A send whose channel is refused by now, or that rests on features that may not be used any more, becomes
    ``suppress``; its probabilities stay as they were drawn from. Nothing that was refused is opened again.
    """
    draft = replace(draft, situation=situation)
    channel = draft.action.channel
    if draft.outcome is not Outcome.SEND_NOW or channel is None:
        return draft
    screened = screen(draft.request, situation)
    late = next((each.reason for each in screened.refusals if each.channel is channel), None)
    if late is None and draft.scores is not None:
        late = situation.allowances.personalization_refusal(draft.scores, situation.now)
    if late is None:
        still = tuple(each for each in draft.screened.permitted if each in screened.permitted)
        return replace(draft, screened=replace(draft.screened, permitted=still))
    return replace(
        draft, screened=screened, outcome=Outcome.SUPPRESS, reason=late, overridden=late, rendered=None, score=Score()
    )


def _actions(situation: Situation, screened: Screened) -> tuple[Action, ...]:
    sends = [
        Action(channel=channel, variant_id=variant.id)
        for channel in screened.permitted
        for variant in situation.definition.variants
    ]
    # A receipt or a warning is owed: only marketing may be left unsent by choice.
    may_be_left = situation.definition.message_class is MessageClass.MARKETING
    return (NO_SEND, *sends) if may_be_left else tuple(sends)


def _distribution(
    actions: Sequence[Action], p_convert: Mapping[Channel, float] | None, *, is_holdout: bool, settings: Settings
) -> tuple[PolicyName, tuple[float, ...]]:
    if is_holdout:
        return PolicyName.UNIFORM, policy.uniform(len(actions))
    if p_convert is None:
        return PolicyName.RULES, policy.rules(actions)
    values = [_value(action, p_convert, settings) for action in actions]
    spread = policy.epsilon_softmax(values, epsilon=settings.epsilon, temperature=settings.temperature)
    return PolicyName.EPSILON_SOFTMAX, spread


def _value(action: Action, p_convert: Mapping[Channel, float], settings: Settings) -> float:
    """Return the expected conversions of an action less what a send costs; sending nothing is worth 0."""
    return p_convert[action.channel] - settings.send_cost if action.channel is not None else 0.0


def _policy_reason(choice: Choice, name: PolicyName) -> Reason:
    if len(choice.actions) == 1:
        return Reason.POLICY_SINGLE
    if not choice.action.is_send:
        return Reason.POLICY_NO_SEND
    return Reason.POLICY_RULES if name is PolicyName.RULES else Reason.POLICY_SAMPLED


def _render(action: Action, request: DecisionRequest, situation: Situation) -> RenderedContent | None:
    if action.channel is None or action.variant_id is None:
        return None
    told = situation.profile.locale if situation.profile is not None else None
    return content.render(
        situation.definition,
        channel=action.channel,
        variant_id=action.variant_id,
        wanted=content.languages(request.context.locale, told),
        variables=request.message.variables,
        unsubscribe_url=situation.unsubscribe_url,
    )


def _score(action: Action, p_convert: Mapping[Channel, float] | None, settings: Settings) -> Score:
    if p_convert is None:
        return Score()
    value = _value(action, p_convert, settings)
    return Score(p_convert=p_convert[action.channel], value=value) if action.channel else Score(value=value)


_LEADING_GATES = (
    "expiry",
    "pause",
    "law",
    "recipient",
    "suppression",
    "consent",
    "channel",
    "preference",
    "quiet_hours",
    "budget",
)


def _leading(reasons: Sequence[Reason]) -> Reason:
    """Return the reason told for the whole decision: that of the most binding gate, the first channel's on a tie."""
    return min(reasons, key=lambda reason: _LEADING_GATES.index(reason.value.split(".")[0]))


def refusals_as_json(refusals: Sequence[Refusal]) -> list[dict[str, Any]]:
    """Return refusals as they are answered and recorded."""
    return [refusal.model_dump(mode="json") for refusal in refusals]

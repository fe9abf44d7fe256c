"""One decision: from what is known to what is done, in pure steps that can be repeated byte for byte.

Probabilities are fixed before the draw. A refusal found when the decision is recorded makes it ``suppress``; there is
never a second draw.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from domain import content, content_blocks, digests, sourced_content, timing
from domain.content import RenderedContent
from domain.content_blocks import BlockReason, Blocks
from domain.content_lint import NO_RULES, BrandRules, lint
from domain.content_quality import Quality, quality
from domain.decision_request import DecisionRequest
from domain.expected import Expected
from domain.gates import Screened, Situation, late_refusal, next_opening, opening, screen
from domain.handover import Follows, Kind
from domain.policy import NO_SEND, Action, Choice, PolicyName, Stage, StageName, settle
from domain.stages import Asked, Settings, channel_stage, slot_stage, variant_stage
from domain.templates import CannotRender
from domain.values import Channel, Frozen, Outcome, Reason


class Score(Frozen):
    """What the model expects of the action taken; null where no model speaks to it."""

    p_open: float | None = None
    p_convert: float | None = None
    p_opt_out: float | None = None
    value: float | None = None
    price: float | None = None


@dataclass(frozen=True)
class Draft:
    """A decision before it is recorded; ``overridden`` is a refusal found at the last moment, after the draw.

    ``choice`` is None where nothing was drawn. A message that waits may have a slot drawn and no channel yet.
    """

    decision_id: str
    request: DecisionRequest
    situation: Situation
    screened: Screened
    outcome: Outcome
    reason: Reason
    expected: Expected = field(default_factory=Expected)
    choice: Choice | None = None
    send_at: datetime | None = None
    rendered: RenderedContent | None = None
    score: Score = field(default_factory=Score)
    overridden: Reason | None = None
    quality: Quality | None = None
    replaced_by: str | None = None
    """The default variant, where what was drawn was not good enough: no draw, so nothing to be learnt from."""
    read_first: Situation | None = None
    """What it was drawn from, once the locked reading has taken its place."""
    follows: Follows | None = None
    blocks: Blocks = ()
    """What slots say that a content system may fill."""
    brand: BrandRules = NO_RULES
    """What those words are held to; a type's own were when it was published."""

    @property
    def action(self) -> Action:
        """The action taken; sending nothing when no policy was asked or a late refusal overrode it."""
        if self.choice is None or self.overridden is not None:
            return NO_SEND
        drawn = self.choice.action
        return drawn if self.replaced_by is None else drawn.model_copy(update={"variant_id": self.replaced_by})

    @property
    def probability(self) -> float:
        """The chance of what was done; 1.0 when the gates left no choice, at first or at last, or a rule made it."""
        if self.choice is None or self.overridden is not None or self.replaced_by is not None:
            return 1.0
        return self.choice.probability


def decide(asked: Asked, screened: Screened) -> Draft:
    """Return the decision: drawn among what is permitted, or what is left where nothing is.

    Args:
        asked: the request, what is known, what models expect, and whether the recipient is in the hold-out.
        screened: what the gates left.

    """
    follows = asked.follows
    if follows is not None:
        return replace(_followed(asked, screened, follows), follows=follows)
    return _in_digest(asked, screened) or _as_first(asked, screened)


def _in_digest(asked: Asked, screened: Screened) -> Draft | None:
    """Return the decision of a message that waits for its recipient's digest: nothing is drawn before that."""
    until = digests.collected_until(asked, screened)
    if until is None:
        return None
    request, situation, reason = asked.request, asked.situation, Reason.POLICY_DIGEST
    draft = Draft(asked.decision_id, request, situation, screened, Outcome.DEFER, reason, asked.expected)
    return replace(draft, send_at=until)


def _followed(asked: Asked, screened: Screened, follows: Follows) -> Draft:
    """Return the decision about what an earlier one left to do: what that one drew is kept, the rest is drawn now."""
    action = follows.settled
    if action is None or action.channel is None:
        return _next_in_order(asked, screened) if follows.kind is Kind.ESCALATION else _as_first(asked, screened)
    if action.channel not in screened.permitted:
        refusals = tuple(each for each in screened.refusals if each.channel is action.channel)
        return _still_settled(_without_channel(asked, Screened((), refusals)), screened, asked, action)
    if action.variant_id not in {each.id for each in asked.situation.definition.variants}:
        gone = Reason.HANDOVER_WITHDRAWN
        return Draft(asked.decision_id, asked.request, asked.situation, screened, Outcome.SUPPRESS, gone)
    choice = Choice(stages=(_as_settled(asked, action),))
    return Draft(
        asked.decision_id,
        asked.request,
        asked.situation,
        screened,
        Outcome.SEND_NOW,
        Reason.POLICY_SETTLED,
        asked.expected,
        choice=choice,
        score=_score(action, asked.expected, asked.settings),
    )


def _as_settled(asked: Asked, action: Action) -> Stage:
    return settle(StageName.CHANNEL, PolicyName.SETTLED, [action], [1.0], decision_id=asked.decision_id)


def _still_settled(draft: Draft, screened: Screened, asked: Asked, action: Action) -> Draft:
    """Return a decision about one channel with everything the gates said; what waits keeps what was drawn."""
    choice = Choice(stages=(_as_settled(asked, action),)) if draft.outcome is Outcome.DEFER else None
    return replace(draft, screened=screened, choice=choice)


def _as_first(asked: Asked, screened: Screened) -> Draft:
    return _chosen(asked, screened) if screened.permitted else _without_channel(asked, screened)


def _next_in_order(asked: Asked, screened: Screened) -> Draft:
    """Return the decision for the first permitted channel, in the order in which they are tried."""
    order = asked.request.channels or screened.permitted
    first = next((each for each in order if each in screened.permitted), None)
    if first is not None:
        return _chosen(asked, replace(screened, permitted=(first,)))
    # Why nothing is left to try is a matter of those that could still be tried.
    tried_now = tuple(each for each in screened.refusals if each.reason is not Reason.CHANNEL_NOT_ASKED)
    return replace(_without_channel(asked, Screened((), tried_now)), screened=screened)


def _without_channel(asked: Asked, screened: Screened) -> Draft:
    """Return the decision of a message that may go nowhere now: later if waiting helps, otherwise never."""
    request, situation = asked.request, asked.situation
    reasons = [refusal.reason for refusal in screened.refusals]
    waiting = [refusal for refusal in screened.refusals if refusal.reason.is_temporary]
    nothing = partial(Draft, asked.decision_id, request, situation, screened, Outcome.SUPPRESS)
    if not waiting:
        return nothing(_leading(reasons))
    openings = [(at, each.reason) for each in waiting if (at := opening(request, situation, each.channel)) is not None]
    if not openings:
        is_never_allowed = all(next_opening(situation, each.channel) is None for each in waiting)
        return nothing(Reason.LAW_NO_OPENING if is_never_allowed else _leading(reasons))
    opens_at, held = min(openings, key=lambda each: each[0])
    too_late = timing.deferral_refusal(request, opens_at=opens_at)
    if too_late is not None:
        return nothing(too_late)
    slot = slot_stage(asked, NO_SEND, [each.channel for each in waiting], first=opens_at)
    return Draft(
        asked.decision_id,
        request,
        situation,
        screened,
        Outcome.DEFER,
        held,
        asked.expected,
        choice=Choice(stages=(slot,)) if slot is not None else None,
        send_at=slot.action.slot if slot is not None else opens_at,
    )


def _chosen(asked: Asked, screened: Screened) -> Draft:
    stages = _drawn(asked, screened.permitted)
    choice = Choice(stages=stages)
    action = choice.action
    outcome = Outcome.SUPPRESS if not action.is_send else Outcome.DEFER if action.slot else Outcome.SEND_NOW
    return Draft(
        asked.decision_id,
        asked.request,
        asked.situation,
        screened,
        outcome,
        _policy_reason(choice),
        asked.expected,
        choice=choice,
        send_at=action.slot,
        score=_score(action, asked.expected, asked.settings),
    )


def _drawn(asked: Asked, permitted: Sequence[Channel]) -> tuple[Stage, ...]:
    channel = channel_stage(asked, permitted)
    if not channel.action.is_send or channel.action.channel is None:
        return (channel,)
    variant = variant_stage(asked, channel.action)
    slot = slot_stage(asked, variant.action, [channel.action.channel], first=asked.situation.now)
    return (channel, variant) if slot is None else (channel, variant, slot)


def recheck(draft: Draft, situation: Situation) -> Draft:
    """Return the decision after the locked reading of what the recipient allows.

    A send whose channel is refused by now, or that rests on features that may not be used any more, becomes
    ``suppress``; its probabilities stay as they were drawn from. Nothing that was refused is opened again.
    """
    draft = replace(draft, situation=situation, read_first=draft.situation)
    channel = draft.action.channel
    if channel is None:
        return _moved(draft)
    screened = screen(draft.request, situation)
    late = late_refusal(draft.request, situation, channel, at=draft.action.slot or situation.now)
    if late is None and draft.expected.is_personal:
        late = situation.allowances.personalization_refusal(draft.expected.channels, situation.now)
    if late is None:
        still = tuple(each for each in draft.screened.permitted if each in screened.permitted)
        return replace(draft, screened=replace(draft.screened, permitted=still))
    if draft.follows is not None and late.is_temporary and (waits := _waits(draft, screened, channel, late)):
        return waits
    return replace(
        draft,
        screened=screened,
        outcome=Outcome.SUPPRESS,
        reason=late,
        overridden=late,
        rendered=None,
        quality=None,
        send_at=None,
        score=Score(),
    )


def _moved(draft: Draft) -> Draft:
    """Return a message that waits with no hour drawn, for as long as the locked reading says it must."""
    if draft.outcome is not Outcome.DEFER or draft.choice is not None or draft.send_at is None:
        return draft
    if draft.reason is Reason.POLICY_DIGEST:
        # The gates are asked when the digest's time has come.
        return draft
    waiting = [each.channel for each in draft.screened.refusals if each.reason.is_temporary]
    found = [at for each in waiting if (at := opening(draft.request, draft.situation, each)) is not None]
    later = min(found, default=draft.send_at)
    if later <= draft.send_at or timing.deferral_refusal(draft.request, opens_at=later) is not None:
        return draft
    return replace(draft, send_at=later)


def _waits(draft: Draft, screened: Screened, channel: Channel, late: Reason) -> Draft | None:
    """Return a hand-over that found its channel closed at the last moment: it waits, with what was drawn."""
    opens_at = opening(draft.request, draft.situation, channel)
    if opens_at is None or timing.deferral_refusal(draft.request, opens_at=opens_at) is not None:
        return None
    return replace(draft, screened=screened, outcome=Outcome.DEFER, reason=late, rendered=None, send_at=opens_at)


def _policy_reason(choice: Choice) -> Reason:
    if all(len(stage.options) == 1 for stage in choice.stages):
        return Reason.POLICY_SINGLE
    if not choice.action.is_send:
        return Reason.POLICY_NO_SEND
    if choice.action.slot is not None:
        return Reason.POLICY_SLOT
    return Reason.POLICY_RULES if choice.policy is PolicyName.RULES else Reason.POLICY_SAMPLED


def filled(draft: Draft, *, degraded: str | None = None) -> Draft:
    """Return the decision with its content: of a later hour, too, for what cannot be filled is better known now.

    Where the type asks for a quality and the variant that was drawn does not have it, or cannot be filled at all, the
    type's default variant answers.

    Args:
        draft: as it was drawn.
        degraded: the rung of the fallback ladder that answered, None when none was needed.

    Raises:
        CannotRender: the variant, or the default one, cannot be filled with the request's variables.
    """
    channel, drawn = draft.action.channel, draft.action.variant_id
    if channel is None or drawn is None:
        return draft
    definition = draft.situation.definition
    wanted, default = definition.quality_threshold or 0.0, definition.default_variant
    if default is not None and default not in draft.situation.ruled.left(channel, (default,)):
        # What business rules exclude does not come in by the back door.
        default = None
    try:
        blocks, rendered = _worded(draft, channel, drawn)
        draft = replace(draft, blocks=blocks)
    except CannotRender:
        if default is None or default == drawn:
            raise
        rendered = None
    if rendered is not None:
        found = quality(lint(definition, channel, rendered), degraded=degraded)
        draft = replace(draft, rendered=rendered, quality=found)
        if found.score >= wanted:
            return draft
    if default is None or default == drawn:
        return draft
    said = _rendered(draft, channel, default, ())
    unasked = _unasked(draft, channel, default)
    return replace(draft, rendered=said, blocks=unasked, replaced_by=default, reason=Reason.POLICY_DEFAULT_VARIANT)


def wanted_of_source(draft: Draft) -> sourced_content.Wanted | None:
    """Return what the drawn variant wants of a content system; None where it wants nothing."""
    channel, drawn = draft.action.channel, draft.action.variant_id
    if channel is None or drawn is None or not draft.situation.definition.variant(drawn).sources:
        return None
    return sourced_content.wanted(draft.situation.definition, drawn, channel, _languages(draft))


def _unasked(draft: Draft, channel: Channel, variant_id: str) -> Blocks:
    found = sourced_content.wanted(draft.situation.definition, variant_id, channel, _languages(draft))
    return content_blocks.defaults(found.slots, BlockReason.NOT_ASKED)


def _worded(draft: Draft, channel: Channel, variant_id: str) -> tuple[Blocks, RenderedContent]:
    definition, blocks = draft.situation.definition, draft.blocks or _unasked(draft, channel, variant_id)
    return sourced_content.said(
        definition, channel, blocks, lambda blocks: _rendered(draft, channel, variant_id, blocks), draft.brand
    )


def _languages(draft: Draft) -> list[str]:
    profile = draft.situation.profile
    return list(content.languages(draft.request.context.locale, profile.locale if profile is not None else None))


def _rendered(draft: Draft, channel: Channel, variant_id: str, blocks: Blocks) -> RenderedContent:
    request, situation = draft.request, draft.situation
    return content.render(
        situation.definition,
        channel=channel,
        variant_id=variant_id,
        wanted=_languages(draft),
        variables=request.message.variables,
        unsubscribe_url=situation.unsubscribe_url,
        blocks=blocks,
    )


def _score(action: Action, expected: Expected, settings: Settings) -> Score:
    if action.channel is None:
        # Sending nothing is what every value is measured against.
        return Score(value=0.0) if expected.can_value else Score()
    terms = expected.channels.get(action.channel)
    if terms is None:
        return Score()
    return Score(
        p_open=terms.p_open,
        p_convert=terms.p_convert,
        p_opt_out=terms.p_opt_out,
        value=terms.value(settings.weights) if expected.can_value else None,
        price=terms.price if expected.can_value else None,
    )


_LEADING_GATES = (
    "expiry",
    "window",
    "pause",
    "law",
    "recipient",
    "suppression",
    "consent",
    "channel",
    "preference",
    "rule",
    "hook",
    "quiet_hours",
    "budget",
)


def _leading(reasons: Sequence[Reason]) -> Reason:
    """Return the reason told for the whole decision: that of the most binding gate, the first channel's on a tie."""
    return min(reasons, key=lambda reason: _LEADING_GATES.index(reason.value.split(".")[0]))

"""Previews: one question about a decision, answered by the stages that would make it, and nothing else happens."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from domain import contact_budget, decisioning, stages
from domain.channel_capabilities import CAPABILITIES, Capabilities
from domain.contact_budget import Standing
from domain.content import RenderedContent, languages, render
from domain.gates import Refusal, Screened, opening
from domain.policy import Action, PolicyName, Stage
from domain.stages import Asked
from domain.templates import CannotRender
from domain.values import Channel, Frozen, Outcome, Reason


class Question(StrEnum):
    """What a preview is asked."""

    TIME = "time"
    CHANNEL = "channel"
    CONTENT = "content"
    SUBJECT = "subject"
    CTA = "cta"
    FORMAT = "format"
    BUDGET = "budget"
    FATIGUE = "fatigue"


class Chance(Frozen):
    """An option and the probability with which it would be drawn."""

    channel: Channel | None = None
    variant_id: str | None = None
    slot: datetime | None = Field(default=None, description="Null for now.")
    probability: float


class Chances(Frozen):
    """A distribution over options, and the policy it is from."""

    policy: PolicyName
    options: tuple[Chance, ...]


class Worth(Frozen):
    """What a channel is expected to bring, term by term, in conversions; null where no model speaks to them."""

    channel: Channel
    terms: Mapping[str, float] | None
    price: float


class Opening(Frozen):
    """From when on nothing holds a message back on a channel; null when no such moment is known."""

    channel: Channel
    opens_at: datetime | None


class Wording(Frozen):
    """How a variant would read on a channel; ``problem`` says why it cannot be filled."""

    channel: Channel
    variant_id: str
    probability: float | None = Field(default=None, description="Were the message to go to this channel.")
    content: RenderedContent | None = None
    subject: str | None = None
    call_to_action: str | None = None
    capabilities: Capabilities | None = None
    problem: str | None = None


class Weariness(Frozen):
    """How weary the recipient is of messages, and what that does to a channel."""

    channel: Channel
    fatigue: float | None
    p_open: float | None
    p_opt_out: float | None


class Preview(Frozen):
    """The answer to one question; the parts that belong to other questions are empty."""

    stage: Question
    outcome: Outcome = Field(description="What would be drawn for this preview, were it a decision.")
    reason: Reason
    refusals: tuple[Refusal, ...]
    chances: Chances | None = None
    worth: tuple[Worth, ...] = ()
    openings: tuple[Opening, ...] = ()
    wordings: tuple[Wording, ...] = ()
    budget: tuple[Standing, ...] = ()
    fatigue: tuple[Weariness, ...] = ()


def preview(question: Question, asked: Asked, screened: Screened) -> Preview:
    """Return the answer to a question.

    Args:
        question: what is asked.
        asked: what a decision would be drawn from.
        screened: what the gates left.
    """
    draft = decisioning.decide(asked, screened)
    answered = Preview(
        stage=question, outcome=draft.outcome, reason=draft.reason, refusals=tuple(draft.screened.refusals)
    )
    return answered.model_copy(update=_ANSWERS[question](asked, screened))


_Answer = dict[str, object]


def _channel(asked: Asked, screened: Screened) -> _Answer:
    drawn = stages.channel_stage(asked, screened.permitted) if screened.permitted else None
    weights, can_value = asked.settings.weights, asked.expected.can_value
    worth = tuple(
        Worth(channel=channel, terms=each.terms(weights) if can_value else None, price=each.price)
        for channel, each in asked.expected.channels.items()
    )
    return {"chances": _chances(drawn), "worth": worth}


def _time(asked: Asked, screened: Screened) -> _Answer:
    request, situation = asked.request, asked.situation
    held = [each.channel for each in screened.refusals if each.reason.is_temporary]
    told = tuple(Opening(channel=each, opens_at=situation.now) for each in screened.permitted)
    told += tuple(Opening(channel=each, opens_at=opening(request, situation, each)) for each in held)
    moments = [each.opens_at for each in told if each.opens_at is not None]
    channels = list(screened.permitted or held)
    drawn = stages.slot_stage(asked, Action(), channels, first=min(moments)) if moments else None
    return {"chances": _chances(drawn), "openings": told}


def _wordings(asked: Asked, told: Callable[[RenderedContent, Channel], _Answer]) -> _Answer:
    """Return every variant of every channel in question; the gates do not matter to how something reads."""
    definition, wanted = asked.situation.definition, asked.request.channels
    channels = [each for each in definition.channels if wanted is None or each in wanted]
    found = []
    for channel in channels:
        chances = _by_variant(stages.variant_stage(asked, Action(channel=channel)))
        for variant in definition.variants:
            told_of = {"channel": channel, "variant_id": variant.id, "probability": chances.get(variant.id, 0.0)}
            try:
                told_of |= told(_rendered(asked, channel, variant.id), channel)
            except CannotRender as error:
                told_of["problem"] = str(error)
            found.append(Wording.model_validate(told_of))
    return {"wordings": tuple(found)}


def _rendered(asked: Asked, channel: Channel, variant_id: str) -> RenderedContent:
    request, situation = asked.request, asked.situation
    profile = situation.profile
    return render(
        situation.definition,
        channel=channel,
        variant_id=variant_id,
        wanted=languages(request.context.locale, profile.locale if profile is not None else None),
        variables=request.message.variables,
        unsubscribe_url=situation.unsubscribe_url,
    )


def _content(asked: Asked, _: Screened) -> _Answer:
    return _wordings(asked, lambda content, _channel: {"content": content})


def _subject(asked: Asked, _: Screened) -> _Answer:
    return _wordings(asked, lambda content, _channel: {"subject": content.subject})


def _call_to_action(asked: Asked, _: Screened) -> _Answer:
    return _wordings(asked, lambda content, _channel: {"call_to_action": getattr(content, "call_to_action", None)})


def _format(asked: Asked, _: Screened) -> _Answer:
    return _wordings(asked, lambda content, channel: {"content": content, "capabilities": CAPABILITIES[channel]})


def _budget(asked: Asked, _: Screened) -> _Answer:
    situation = asked.situation
    allowed = situation.allowances
    rules = contact_budget.standings(allowed.budget, allowed.spent.contacts, now=situation.now, zone=situation.zone)
    return {"budget": rules}


def _fatigue(asked: Asked, _: Screened) -> _Answer:
    told = tuple(
        Weariness(channel=channel, fatigue=each.fatigue, p_open=each.p_open, p_opt_out=each.p_opt_out)
        for channel, each in asked.expected.channels.items()
    )
    return {"fatigue": told}


_ANSWERS: Mapping[Question, Callable[[Asked, Screened], _Answer]] = {
    Question.TIME: _time,
    Question.CHANNEL: _channel,
    Question.CONTENT: _content,
    Question.SUBJECT: _subject,
    Question.CTA: _call_to_action,
    Question.FORMAT: _format,
    Question.BUDGET: _budget,
    Question.FATIGUE: _fatigue,
}


def _chances(drawn: Stage | None) -> Chances | None:
    if drawn is None:
        return None
    pairs: Iterable[tuple[Action, float]] = zip(drawn.options, drawn.probabilities, strict=True)
    options = (Chance(probability=chance, **option.model_dump()) for option, chance in pairs)
    return Chances(policy=drawn.policy, options=tuple(options))


def _by_variant(drawn: Stage) -> dict[str | None, float]:
    return {option.variant_id: chance for option, chance in zip(drawn.options, drawn.probabilities, strict=True)}

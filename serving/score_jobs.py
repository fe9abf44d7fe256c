"""Scores asked for in a batch: what the serving model says of a message, with nothing decided.

A recipient is scored exactly as a decision would, gates and consents included. Explicit features are scored as they
stand: a feature that is not given is missing.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from prometheus_client import Counter
from pydantic import Field, FiniteFloat, model_validator

from adapters.clock import Clock
from adapters.postgres import audit
from adapters.postgres.audit import AuditEntry
from domain.decision_request import DecisionRequest
from domain.events import Identifier, Name
from domain.gates import Screened
from domain.jobs import ItemResult, ItemVerdict
from domain.stages import Asked
from domain.tenants import Tenant
from domain.values import Frozen
from serving.asks import Ask
from serving.decide import Decider
from serving.scoring import Model

KIND = "scores"
MAX_FEATURES = 200
SCORED = Counter("kairos_batch_scores", "Items of score jobs, by what became of them.", ("verdict",))


class ScoreItem(Frozen):
    """One thing to score: a recipient, or features."""

    recipient_id: Identifier | None = None
    message_type: Name | None = Field(default=None, description="With a recipient: the type that would be sent.")
    features: dict[Name, FiniteFloat | None] | None = Field(
        default=None, max_length=MAX_FEATURES, description="Instead of a recipient; names are the model's features."
    )

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.recipient_id is None) == (self.features is None):
            raise ValueError("must have one of recipient_id and features, and not both")
        if (self.recipient_id is None) != (self.message_type is None):
            raise ValueError("must have message_type with a recipient_id, and only there")
        return self


class ScorePayload(Frozen):
    """What a job scores."""

    items: tuple[ScoreItem, ...]


class ScoreJobs:
    """Scores the items of a job with the model that serves at that moment."""

    def __init__(self, decider: Decider, model: Callable[[], Model | None], clock: Clock) -> None:
        self._decider = decider
        self._model = model
        self._clock = clock

    def do(self, connection: Any, tenant: Tenant, payload: Any, places: range, actor: str) -> list[ItemResult]:
        """Score the items at these places; each gets its numbers, or what was expected of it.

        That somebody's data were read for it is left in the audit trail.
        """
        # A job of ten thousand comes here two hundred times: only what is done now is read.
        items = {place: ScoreItem.model_validate(payload["items"][place]) for place in places}
        model = self._model()
        by_person = [place for place, item in items.items() if item.recipient_id is not None]
        named = {item.recipient_id for item in items.values() if item.recipient_id is not None}
        audit.write(connection, tenant, [_read(each, actor) for each in sorted(named)])
        found = self._of_recipients(tenant, items, by_person, model)
        results = [found[place] if place in found else _of_features(place, items[place], model) for place in places]
        for result in results:
            SCORED.labels(result.verdict.value).inc()
        return results

    def _of_recipients(
        self, tenant: Tenant, items: Mapping[int, ScoreItem], places: Sequence[int], model: Model | None
    ) -> dict[int, ItemResult]:
        asks = [Ask(str(uuid.uuid4()), _request(items[place])) for place in places]
        told = self._decider.consider(tenant, asks, now=self._clock.now(tenant)) if asks else []
        return {place: _told(place, each, model) for place, each in zip(places, told, strict=True)}


def _read(recipient_id: str, actor: str) -> AuditEntry:
    return AuditEntry(action="recipient.scored", actor=actor, object="recipient", recipient_id=recipient_id)


def _request(item: ScoreItem) -> DecisionRequest:
    return DecisionRequest.model_validate({"recipient_id": item.recipient_id, "message": {"type": item.message_type}})


def _told(place: int, considered: tuple[Asked, Screened] | Exception, model: Model | None) -> ItemResult:
    field = f"items.{place}"
    if isinstance(considered, Exception):
        return _refused(place, f"{field}.message_type", "a published message type that needs no variables")
    asked, screened = considered
    if not screened.permitted:
        return _refused(place, f"{field}.recipient_id", "a recipient who may be sent this message on some channel")
    p = {channel: terms.p_convert for channel, terms in asked.expected.channels.items()}
    known = {channel.value: chance for channel, chance in p.items() if chance is not None}
    if not known or model is None:
        return _refused(place, f"{field}.recipient_id", "a recipient with features who allows personalization")
    return _done(place, {"p_convert": known}, model)


def _of_features(place: int, item: ScoreItem, model: Model | None) -> ItemResult:
    given = item.features or {}
    if model is None:
        return _refused(place, f"items.{place}.features", "a model that serves; none does now")
    unknown = sorted(given.keys() - set(model.scorer.features))
    if unknown:
        return _refused(place, f"items.{place}.features.{unknown[0]}", "a feature of the model")
    row = [given.get(name) for name in model.scorer.features]
    with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is refused
        matrix = np.array([[np.nan if value is None else value for value in row]], dtype=np.float32)
    if np.isinf(matrix).any():
        return _refused(place, f"items.{place}.features", "numbers that fit into 32 bits")
    return _done(place, {"p_convert": float(model.scorer.score(matrix)[0])}, model)


def _done(place: int, numbers: Mapping[str, Any], model: Model) -> ItemResult:
    detail = {**numbers, "model": model.name, "version": model.version}
    return ItemResult(position=place, verdict=ItemVerdict.DONE, detail=detail)


def _refused(place: int, field: str, expected: str) -> ItemResult:
    return ItemResult(position=place, verdict=ItemVerdict.REFUSED, detail={"field": field, "expected": expected})

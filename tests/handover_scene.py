"""A tenant whose messages wait for the morning, and the parts that hand them over, at moments a test sets."""

from datetime import timedelta

from adapters.handover_tokens import HandoverTokens
from adapters.postgres.consent import ConsentStore
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.digest_queue import Digests as DigestQueue
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from adapters.postgres.follow_up_queue import FollowUps
from adapters.postgres.message_types import MessageTypes
from adapters.settings import Settings
from domain.consent import ConsentChange, ConsentStatus
from domain.decision_request import DecisionRequest
from domain.ingest import parse
from domain.values import Purpose
from serving.asks import Ask
from serving.decide import Decider, new_id
from serving.digests import Digests
from serving.handovers import Handovers
from tests.builders import NOON, a_type

NIGHT = NOON + timedelta(hours=12)
"""Midnight in New York: quiet hours."""
MORNING = NOON + timedelta(hours=20)
"""Eight o'clock there, when they end."""
ON_EMAIL = {"channels": ["email"], "variants": [{"id": "a", "content": {"email": {"body": "Hi {{ name }}"}}}]}
WITH_NAME = {"variables": {"type": "object", "properties": {"name": {"type": "string"}}}}
ALERT = {
    "type": "alert",
    "class": "service",
    "category": "alerts",
    "channels": ["push", "sms", "email"],
    "variants": [{"id": "a", "content": {each: {"body": f"by {each}"} for each in ("push", "sms", "email")}}],
    "must_reach": {"channels": ["push", "sms", "email"], "wait_minutes": [5, 10]},
}


class Scene:
    """One tenant with a marketing type that waits for the morning and an alert that must reach."""

    def __init__(self, db, box, tenant, recipients=("r",)):
        self.db, self.tenant = db, tenant
        self.decider = Decider(
            DecisionLog(db),
            lambda: None,
            Settings(holdout_share=0, decision_postgres_ms=20_000),
            tokens=HandoverTokens(box),
        )
        self.queue = FollowUps(db)
        self.handovers = Handovers(self.decider, self.queue, HandoverTokens(box))
        self.digests = Digests(self.decider, DigestQueue(db), self.queue, HandoverTokens(box))
        MessageTypes(db).publish(tenant, [a_type(**ON_EMAIL, **WITH_NAME), a_type(**ALERT)], actor="test")
        self.say(ConsentStatus.GIVEN, *recipients, at=NOON - timedelta(days=1))

    def say(self, status, *recipients, at):
        """Let recipients give or withdraw their consent to marketing."""
        change = ConsentChange(purpose=Purpose.MARKETING, status=status, source="t", effective_at=at)
        who = recipients or ("r",)
        ConsentStore(self.db).record_many(self.tenant, {each: [change] for each in who}, actor="test", now=at)

    def ask(self, recipient="r", *, message=None, now=NIGHT, key=None, **fields):
        """Decide and return the answer."""
        body = {"recipient_id": recipient, "message": {"type": "news"} | (message or {})} | fields
        ask = Ask(key or new_id(), DecisionRequest.model_validate(body), may_repeat=key is not None)
        (recorded,) = self.decider.decide(self.tenant, [ask], now=now, actor="test")
        return recorded.answer

    def hand_over(self, answer, *, now=MORNING, key=None, variables=None):
        """Hand over what a decision left to do."""
        return self.handovers.hand_over(
            self.tenant, answer["decision_id"], variables or {}, key=key, now=now, actor="test"
        )

    def hear(self, kind, decision_id, *, at, recipient="r", channel="email", number=0, **fields):
        """Store an event about a decision; returns its verdict."""
        given = {"source": "esp", "event_id": f"{kind}{decision_id}{number}", "type": kind, "recipient_id": recipient}
        given |= {"channel": channel, "occurred_at": at.isoformat(), "decision_id": decision_id} | fields
        log = EventLog(self.db, EventEffects(), retention=timedelta(days=3650))
        (verdict,) = log.append(self.tenant, [parse(given, 0)], origin="test", received_at=NOON, now=at)
        return verdict.verdict.value

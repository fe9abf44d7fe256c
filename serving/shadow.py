"""Shadow serving: a model that passed the gate scores the rows that the champion decided on, in a thread of its own.

A decision hands over what it read and goes on; it waits for nothing, and where the queue is full the row is dropped and
counted. What the shadow says is stored beside the decision, in batches, once the decision is recorded. No answer, no
record and no probability of a decision knows of it.
"""

import math
import queue
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import structlog
from prometheus_client import Counter, Gauge

from adapters.postgres.engine import Unavailable
from adapters.postgres.shadow_scores import ShadowScore, ShadowScores
from models.engagement import recoded
from serving.background import Background
from serving.models import EngagementModels
from serving.scoring import Model, Scored, Scores

CAPACITY = 5_000
"""Decisions that may wait; at a hundred a second a shadow may be away for most of a minute."""
BATCH = 500
SETTLE_SECONDS = 2.0
"""Time for a decision to be recorded before what is said about it is stored."""
EVERY_SECONDS = 0.5

_log = structlog.get_logger("kairos.shadow")
_SCORED = Counter("kairos_shadow_scored", "Decisions a shadow scored, of which the score is stored.", ("model",))
_DROPPED = Counter("kairos_shadow_dropped", "Decisions that a shadow could not score, by why.", ("model", "why"))
_LAG = Gauge(
    "kairos_shadow_lag_seconds", "Age of the oldest decision of the last batch.", ("model",), multiprocess_mode="max"
)
_WHY = ("queue_full", "features", "failed", "not_recorded")


@dataclass(frozen=True)
class Offered:
    """What the champion decided on: its features by channel, and the lists its codes are places in."""

    tenant: str
    decision_id: str
    message_type: str
    champion: str
    features: Mapping[str, Mapping[str, float | None]]
    vocabularies: Mapping[str, Sequence[str]]
    at: float


class Shadow(Background):
    """The shadow of one model: ``offer`` is called by decisions, everything else is done by the thread."""

    def __init__(
        self,
        models: EngagementModels,
        store: ShadowScores,
        *,
        poll_seconds: float,
        capacity: int = CAPACITY,
        settle_seconds: float = SETTLE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start nothing yet.

        Args:
            models: those that the alias of shadows names; this thread polls them.
            store: where scores go.
            poll_seconds: time between two looks at the alias.
            capacity: decisions that may wait.
            settle_seconds: how long a decision waits to be recorded.
            monotonic: the clock of both.
        """
        super().__init__("shadow", every_seconds=EVERY_SECONDS, on_unavailable="shadow.store_away")
        self._models = models
        self._store = store
        self._poll_seconds = poll_seconds
        self._settle_seconds = settle_seconds
        self._monotonic = monotonic
        self._waiting: queue.Queue[Offered] = queue.Queue(capacity)
        self._pending: list[Offered] = []
        self._next_poll = -math.inf
        self.dropped = dict.fromkeys(_WHY, 0)

    def offer(self, tenant: str, decision_id: str, message_type: str, model: Model, scored: Scored) -> None:
        """Hand over a decision that a model's probabilities stand behind; returns at once, whatever happens.

        A version is no shadow of itself.
        """
        shadow = self._wanted
        if shadow is None or shadow.version == model.version or scored.features is None:
            return
        given = Offered(
            tenant,
            decision_id,
            message_type,
            model.version,
            scored.features,
            model.scorer.vocabularies,
            self._monotonic(),
        )
        try:
            self._waiting.put_nowait(given)
        except queue.Full:
            self._drop("queue_full", 1)

    def work(self) -> None:
        """Look for the shadow when it is time, score what has settled, and store it.

        Raises:
            Unavailable: PostgreSQL is away; what was scored is scored again in the next round.
        """
        if self._monotonic() >= self._next_poll:
            self._next_poll = self._monotonic() + self._poll_seconds
            self._models.poll()
        while self._pending or self._collect():
            self._flush()

    @property
    def _wanted(self) -> Model | None:
        """The loaded shadow, as long as the alias goes on to name it."""
        return self._models.current if self._models.status.is_as_wanted else None

    def _collect(self) -> bool:
        """Take what has settled from the queue; returns whether there may be more."""
        until = self._monotonic() - self._settle_seconds
        while len(self._pending) < BATCH and self._waiting.queue and self._waiting.queue[0].at <= until:
            self._pending.append(self._waiting.get_nowait())
        return bool(self._pending)

    def _flush(self) -> None:
        shadow, pending = self._wanted, self._pending
        if shadow is not None:
            try:
                self._keep(shadow, pending)
            except Unavailable:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a shadow makes us raise, its thread goes on
                self._drop("failed", len(pending))
                _log.warning("shadow.failed", version=shadow.version, error=type(error).__name__)
        self._pending = []

    def _keep(self, shadow: Model, pending: Sequence[Offered]) -> None:
        _LAG.labels(shadow.name).set(self._monotonic() - min(each.at for each in pending))
        usable = [each for each in pending if _has(each, shadow.scorer) and each.champion != shadow.version]
        self._drop("features", len(pending) - len(usable))
        said = list(scores_of(shadow, usable))
        for tenant, theirs in groupby(sorted(said, key=lambda each: each.tenant), key=lambda each: each.tenant):
            some = list(theirs)
            stored = self._store.store(tenant, some)
            _SCORED.labels(shadow.name).inc(stored)
            self._drop("not_recorded", len(some) - stored)

    def _drop(self, why: str, count: int) -> None:
        self.dropped[why] += count
        _DROPPED.labels("engagement", why).inc(count)


def scores_of(shadow: Model, offered: Sequence[Offered]) -> Iterator[ShadowScore]:
    """Yield what a shadow says about decisions, all of whose rows are scored as one matrix."""
    places = [(each, channel) for each in offered for channel in each.features]
    if not places:
        return
    matrix = np.array([_row(shadow.scorer, each, channel) for each, channel in places], dtype=np.float32)
    said: dict[str, dict[str, float]] = {}
    for (each, channel), p in zip(places, shadow.scorer.score(matrix), strict=True):
        said.setdefault(each.decision_id, {})[channel] = float(p)
    for each in offered:
        yield ShadowScore(
            each.tenant, each.decision_id, shadow.name, shadow.version, each.champion, said[each.decision_id]
        )


def _has(offered: Offered, scorer: Scores) -> bool:
    """Tell whether the champion read every feature the shadow wants, but for what the decision itself says."""
    needed = set(scorer.features) - recoded.OF_THE_DECISION.keys()
    return all(needed <= row.keys() for row in offered.features.values())


def _row(scorer: Scores, offered: Offered, channel: str) -> list[float]:
    given = offered.features[channel]
    return [_value(scorer, name, given.get(name), offered, channel) for name in scorer.features]


def _value(scorer: Scores, name: str, value: float | None, offered: Offered, channel: str) -> float:
    """Return a feature as the shadow reads it: a code is the place of the same word in its own list."""
    if name in recoded.OF_THE_DECISION:
        return recoded.of_decision(scorer.vocabularies, name, message_type=offered.message_type, channel=channel)
    if name in recoded.OF_THE_RECIPIENT and value is not None:
        known = recoded.OF_THE_RECIPIENT[name]
        return recoded.code(scorer.vocabularies, known, offered.vocabularies[known][int(value)])
    return math.nan if value is None else value

"""The decider of the service: decides with PostgreSQL while it answers, and without it while it does not."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from adapters.decision_spool import DecisionSpool
from adapters.postgres import patience
from adapters.postgres.decision_rows import Recorded
from adapters.postgres.decisions import Finish
from adapters.postgres.engine import Busy, Unavailable
from domain.decisioning import Draft
from domain.tenants import Tenant
from domain.values import Reason
from serving.asks import Ask
from serving.breakers import Breaker, Open
from serving.decide import Decider, Opened
from serving.decision_answers import AskRefused, KeyReused
from serving.local_hooks import LocalHooks
from serving.scoring import Model
from serving.shadow import Shadow
from serving.situations import Prices
from serving.timing import Timing
from serving.without_store import WithoutStore


class SteadyDecider(Decider):
    """Answers every decision that can be kept."""

    def __init__(
        self,
        *given: Any,
        spool: DecisionSpool,
        store: Breaker,
        hooks: LocalHooks,
        prices: Prices,
        shadow: Shadow | None = None,
        **named: Any,
    ) -> None:
        """Prepare to decide.

        Args:
            given: as ``Decider``.
            spool: keeps decisions while PostgreSQL is away.
            store: the breaker of PostgreSQL on the way of a decision.
            hooks: of this process.
            prices: of tenants' volume.
            shadow: told what the model decided on; it changes nothing.
            named: as ``Decider``.
        """
        super().__init__(*given, **named)
        self._store = store
        self._spool = spool
        self._shadow = shadow
        self._hooks = self.situations.hooks = hooks
        self.situations.prices = prices
        self._without = WithoutStore(spool, self.situations, self._settings, self._is_holdout, self._answers.tokens)

    def decide_each(
        self, tenant: Tenant, asks: Sequence[Ask], *, now: datetime, actor: str
    ) -> list[Recorded | AskRefused]:
        """Decide each request, as ``Decider``; while PostgreSQL is away, from memory and into the spool.

        Raises:
            Busy: PostgreSQL has too much to do; whoever asks again later is answered.
            Unavailable: PostgreSQL is away, and so is the spool, or a type was never read by this process.
        """
        waiting = self._spooled(tenant, asks) if len(self._spool) else {}
        rest = [ask for place, ask in enumerate(asks) if place not in waiting]
        decide: Callable[..., list[Any]] = super().decide_each
        try:
            with self._store.calling(), patience.giving_up_when(lambda: self._store.is_lost):
                made = self._unless_busy(decide, tenant, rest, now=now, actor=actor)
        except (Unavailable, Open):
            made = self._without.decide(tenant, rest, now=now, actor=actor)
        if isinstance(made, Busy):
            raise made
        self._tell(tenant, made)
        told = iter(made)
        verdicts = [waiting[place] if place in waiting else next(told) for place in range(len(asks))]
        secret = tenant.subject_secret
        return [
            KeyReused("this key stands for another request")
            if place in waiting and isinstance(verdict, Recorded) and not ask.may_be(verdict.fingerprint, secret)
            else verdict
            for place, (ask, verdict) in enumerate(zip(asks, verdicts, strict=True))
        ]

    def _finish(self, tenant: Tenant, opened: Opened, draft: Draft, model: Model | None, timing: Timing) -> Finish:
        if self._shadow is not None and model is not None and opened.scored is not None:
            self._shadow.offer(tenant.tenant, opened.ask.decision_id, draft.request.message.type, model, opened.scored)
        return super()._finish(tenant, opened, draft, model, timing)

    @staticmethod
    def _unless_busy(decide: Callable[..., list[Any]], *given: Any, **named: Any) -> list[Any] | Busy:
        """Decide, or return that PostgreSQL is busy: a decision made without it could contradict one made with it."""
        try:
            return decide(*given, **named)
        except Busy as busy:
            return busy

    def _tell(self, tenant: Tenant, made: Sequence[Any]) -> None:
        """Tell hooks of what is new; they are called elsewhere."""
        for recorded in made:
            if not isinstance(recorded, Recorded) or not recorded.is_new:
                continue
            named = ("decision_id", "outcome", "reason", "channel", "variant_id", "degraded")
            facts = {"tenant": tenant.tenant} | {name: recorded.answer[name] for name in named}
            self._hooks.tell("post_decision", facts)
            if recorded.answer["reason"] == Reason.POLICY_DEFAULT_VARIANT:
                self._hooks.tell("quality_threshold_failed", facts)

    def _spooled(self, tenant: Tenant, asks: Sequence[Ask]) -> dict[int, Recorded | AskRefused]:
        """Return what was answered before to those whose decision is not in PostgreSQL yet, by their place."""
        found = ((place, self._without.repeated(tenant, ask)) for place, ask in enumerate(asks))
        return {place: recorded for place, recorded in found if recorded is not None}

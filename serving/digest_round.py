"""The scheduler's round of digests: puts together what is due, tells senders, puts off what may not go yet.

Like everything the scheduler does, each step is one transaction that finds the rows as they were read.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog

from adapters.postgres.digest_queue import Due
from adapters.postgres.follow_up_queue import FollowUps, Waiting
from domain.handover import Verdict
from domain.message_types import MessageType
from domain.tenants import Tenant
from domain.values import Reason
from serving.digests import Digests, digest_id, put_together

_log = structlog.get_logger(__name__)


@dataclass
class Done:
    """What came of what was due of one recipient and type: ``digests`` are what the ``digested`` messages made."""

    undigested: int = 0
    postponed: int = 0
    stopped: int = 0
    digests: int = 0
    digested: int = 0


class DigestRound:
    """Settles what waits for digests."""

    def __init__(self, digests: Digests, follow_ups: FollowUps, *, actor: str) -> None:
        self.queue = digests.queue
        self._digests = digests
        self._follow_ups = follow_ups
        self._actor = actor

    def settle(self, tenant: Tenant, due: Due, *, now: datetime, goes_on: Callable[[], bool] = lambda: True) -> Done:
        """Do what is due with the messages of one recipient and type, the first ones first.

        Args:
            tenant: whose messages.
            due: what is due; where it is not all of it, only what fills a digest goes.
            now: the tenant's clock.
            goes_on: asked before each digest and each single message after the first; what is left then stays due.
        """
        done = Done()
        left = [each for each in due.items if each.expires_at > now]
        self._stop(tenant, [each for each in due.items if each.expires_at <= now], Reason.EXPIRY_PASSED, now, done)
        if not left:
            return done
        definition = self._digests.definition(tenant, left[-1], now=now)
        groups = put_together(left, definition.digest, is_all=due.is_all)
        steps = [partial(self._digest, tenant, group, definition) for group in groups.digests]
        steps += [partial(self._single, tenant, each) for each in groups.singles]
        for number, step in enumerate(steps):
            if number and not goes_on():
                break
            step(now, done)
        return done

    def _single(self, tenant: Tenant, item: Waiting, now: datetime, done: Done) -> None:
        # From now on it is like anything else that waited, and due.
        if self.queue.let_go(tenant, [item], now=now):
            done.undigested += 1
            _log.info("digest.too_few", tenant=tenant.tenant, decision=item.decision_id)

    def _digest(
        self, tenant: Tenant, items: Sequence[Waiting], definition: MessageType, now: datetime, done: Done
    ) -> None:
        found = self._digests.check(tenant, items, definition, now=now)
        named = digest_id(tenant, items)
        name = {"tenant": tenant.tenant, "digest": named, "messages": len(items)}
        if found.verdict is Verdict.GO:
            if self.queue.release(tenant, items, named, now=now):
                done.digests += 1
                done.digested += len(items)
                _log.info("digest.released", **name)
        elif found.verdict is Verdict.WAIT and found.opens_at is not None:
            if self.queue.postpone(tenant, items, due_at=found.opens_at):
                done.postponed += len(items)
                _log.info("digest.postponed", **name, reason=found.reason.value)
        else:
            self._stop(tenant, items, found.reason, now, done)

    def _stop(self, tenant: Tenant, items: Sequence[Waiting], reason: Reason, now: datetime, done: Done) -> None:
        for each in items:
            if self._follow_ups.stop(tenant, each, reason, actor=self._actor, now=now):
                done.stopped += 1
                _log.info("handover.stopped", tenant=tenant.tenant, decision=each.decision_id, reason=reason.value)

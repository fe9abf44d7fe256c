"""Releases what is due in processes that are killed: SIGKILL before, within and after every transaction, in turn.

``python -m tests.scheduler_process TENANT NOW DUE`` prints how many processes were killed, as JSON.
"""

import json
import os
import signal
import sys
from datetime import datetime

from sqlalchemy import event

from adapters.clock import Clock
from adapters.handover_tokens import HandoverTokens
from adapters.keyring import Keyring
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.digest_queue import Digests as DigestQueue
from adapters.postgres.engine import Database
from adapters.postgres.follow_up_queue import FollowUps
from adapters.postgres.tenants import Tenants
from adapters.secrets import SecretBox
from adapters.settings import load_settings
from serving.decide import Decider
from serving.digests import Digests
from serving.handovers import Handovers
from serving.scheduler import Scheduler


def step(tenant, now, *, dies_at=None):
    """Do one step at a moment; with ``dies_at``, the process ends at that statement or commit, counted from 0."""
    settings = load_settings()
    database = Database(settings.postgres_url.get_secret_value(), keyring=Keyring.of(settings))
    box = SecretBox.of(settings)
    whose = Tenants(database, box).get(tenant)
    decider, tokens = Decider(DecisionLog(database), lambda: None, settings), HandoverTokens(box)
    handovers = Handovers(decider, FollowUps(database), tokens)
    digests = Digests(decider, DigestQueue(database), handovers.queue, tokens)
    scheduler = Scheduler(
        handovers=handovers, digests=digests, tenants=lambda: [whose], clock=lambda: Clock(lambda: now)
    )
    reached = [0]

    def maybe_die(*_):
        if reached[0] == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        reached[0] += 1

    if dies_at is not None:
        event.listen(database.engine, "before_cursor_execute", maybe_die)
        event.listen(database.engine, "commit", maybe_die)
    scheduler.step()


def main():
    tenant, now, most = sys.argv[1], datetime.fromisoformat(sys.argv[2]), int(sys.argv[3])
    killed = 0
    for place in range(most):
        child = os.fork()
        if child == 0:
            step(tenant, now, dies_at=place)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            break
        killed += os.WTERMSIG(status) == signal.SIGKILL
    sys.stdout.write(json.dumps({"killed": killed}) + "\n")


if __name__ == "__main__":
    main()

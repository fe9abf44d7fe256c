"""Releases what is due in processes that are killed: SIGKILL before, within and after every transaction, in turn.

``python -m tests.scheduler_process TENANT NOW DUE`` prints how many processes were killed, as JSON. A count alone skips
places, for whatever one process finished the next one does not come by; so each place after a release is met by name.
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


def step(tenant, now, *, dies_at=None, after=None):
    """Do one step at a moment; with ``dies_at``, the process ends at that statement or commit, counted from 0.

    With ``after``, it is counted from the first statement that holds this text.
    """
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
    counts = [after is None]

    def maybe_die(*given):
        counts[0] = counts[0] or any(isinstance(each, str) and after in each for each in given)
        if not counts[0]:
            return
        if reached[0] == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        reached[0] += 1

    if dies_at is not None:
        event.listen(database.engine, "before_cursor_execute", maybe_die)
        event.listen(database.engine, "commit", maybe_die)
    scheduler.step()


RELEASING = "SET released_at"
AROUND = 5
"""Statements and commits from a release on."""


def dies(tenant, now, **where):
    """Do one step in a process of its own; returns whether it was killed."""
    child = os.fork()
    if child == 0:
        step(tenant, now, **where)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def main():
    tenant, now, most = sys.argv[1], datetime.fromisoformat(sys.argv[2]), int(sys.argv[3])
    around = [dies(tenant, now, dies_at=place, after=RELEASING) for place in range(AROUND)]
    killed = sum(around)
    for place in range(most):
        if not dies(tenant, now, dies_at=place):
            break
        killed += 1
    sys.stdout.write(json.dumps({"killed": killed, "around": all(around)}) + "\n")


if __name__ == "__main__":
    main()

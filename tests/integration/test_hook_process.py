"""The deliverer as the process that ``kairos up`` runs: killed in the middle, again and again, nothing is lost."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator

from sqlalchemy import text

from adapters import heartbeat
from adapters.heartbeat import Doing
from adapters.postgres.changes import ChangeFeed
from adapters.postgres.hooks import Hooks
from adapters.postgres.profiles import Profiles
from adapters.settings import child_environment
from domain.profiles import Profile
from domain.webhooks import HookEvent
from tests.receiver import receiving
from tests.stream_world import KEY, World, until
from tests.stream_world import ROOT as HERE

CHANGES = 30


@contextlib.contextmanager
def delivering(world: World) -> Iterator[subprocess.Popen[bytes]]:
    """Run the deliverer, allowed to send to this machine; it is killed at the end."""
    environment = child_environment(
        {
            "KAIROS_DATA_DIR": str(world.data_dir),
            "KAIROS_POSTGRES_URL": world.databases.app,
            "KAIROS_REDIS_URL": world.valkey.url,
            "KAIROS_SECRET_KEY": KEY,
            "KAIROS_EGRESS_ALLOW_LOOPBACK": "true",
        }
    )
    started = subprocess.Popen([sys.executable, "-m", "serving.deliverer"], env=environment, cwd=HERE)
    try:
        yield started
    finally:
        started.send_signal(signal.SIGKILL)
        started.wait()


def as_if_leases_had_ended(world: World) -> None:
    with world.database.tenant(world.tenant.tenant) as connection:
        connection.execute(text("UPDATE hook_delivery SET due_at = recorded_at WHERE state = 'waiting'"))


def states(world: World) -> dict[str, int]:
    with world.database.tenant(world.tenant.tenant) as connection:
        return dict(connection.execute(text("SELECT state, count(*) FROM hook_delivery GROUP BY state")).all())


def test_nothing_acknowledged_is_lost_when_the_deliverer_is_killed(world: World) -> None:
    with receiving() as receiver:
        hooks = Hooks(world.database, world.box)
        _, secret = hooks.create(
            world.tenant, url=receiver.url, events=[HookEvent.PROFILE_UPDATED], description="", actor="test"
        )
        recipients = [f"r{number}" for number in range(CHANGES)]
        Profiles(world.database).put_many(world.tenant, dict.fromkeys(recipients, Profile()), actor="test")
        while ChangeFeed(world.database).publish(world.tenant.tenant, limit=7):
            pass
        for _ in range(2):
            receiver.free.clear()
            with delivering(world):
                # It has sent and waits for an answer that it will not live to keep.
                assert receiver.came.acquire(timeout=180)
            receiver.free.set()
            assert states(world)["waiting"] > 0
            as_if_leases_had_ended(world)
        with delivering(world) as running:
            until(lambda: states(world) == {"delivered": CHANGES}, "not everything is delivered")
            running.send_signal(signal.SIGTERM)
            assert running.wait(180) == 0
    assert heartbeat.read(world.data_dir, "deliverer").doing is Doing.STOPPED
    assert {each.body["data"]["recipient_id"] for each in receiver.messages} == set(recipients)
    assert len(receiver.ids) > len(set(receiver.ids)) == CHANGES, "no kill came in the middle"
    assert all(each.is_signed_with(secret) for each in receiver.messages)

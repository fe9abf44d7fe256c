"""The loop of relay and consumer: it waits out a store that is away, and says at once when it works again."""

import threading
from collections.abc import Callable
from pathlib import Path

from adapters import heartbeat
from adapters.heartbeat import Doing, Heartbeat
from adapters.postgres.engine import Unavailable
from serving import worker as worker_module
from serving.worker import Numbers, Worker


def beats_of(folder: Path, steps: list[Callable[[], float]]) -> list[Heartbeat | None]:
    """Run the steps one after the other; return the heartbeat that stood when each began, and the last one."""
    seen: list[Heartbeat | None] = []

    def step() -> float:
        seen.append(heartbeat.read(folder, "relay"))
        if len(seen) > len(steps):
            worker.stop()
            return 0.0
        return steps[len(seen) - 1]()

    worker = Worker("relay", step, observe=lambda: Numbers({}, {}), data_dir=folder)
    worker.run()
    return [*seen, heartbeat.read(folder, "relay")]


def works() -> float:
    return 0.0


def is_away() -> float:
    raise Unavailable("PostgreSQL is away")


def test_the_first_step_that_works_is_told_at_once(tmp_path: Path) -> None:
    before, after, last = beats_of(tmp_path, [works])
    assert [beat.doing for beat in (before, after, last) if beat] == [Doing.WAITING, Doing.WORKING, Doing.STOPPED]


def test_that_a_store_is_away_and_that_it_is_back_is_told_at_once(tmp_path: Path) -> None:
    _, _, waiting, resumed, _ = beats_of(tmp_path, [works, is_away, works])
    assert waiting is not None
    assert (waiting.doing, waiting.problem) == (Doing.WAITING, "PostgreSQL is away")
    assert resumed is not None
    assert (resumed.doing, resumed.problem) == (Doing.WORKING, None)


def test_one_that_rests_for_long_goes_on_telling_that_it_lives(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(worker_module, "_BEAT_SECONDS", 0.01)
    told: list[Heartbeat | None] = []

    def observe() -> Numbers:
        told.append(heartbeat.read(tmp_path, "learner"))
        if len(told) > 5:
            worker.stop()
        return Numbers({}, {})

    worker = Worker("learner", lambda: 3600.0, observe=observe, data_dir=tmp_path)
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    # Before its first step it is not well; from then on it is, though it rests.
    assert [beat.doing for beat in told if beat] == [Doing.WAITING, *[Doing.WORKING] * 4, Doing.WORKING]

"""A breaker counts only what the other side did not answer, takes a late answer for none, and tells each change."""

import threading

import pytest
from structlog.testing import capture_logs

from domain.circuit import State, Thresholds
from serving.breakers import SLOW_CONTENT_SECONDS, Breaker, Open, content_system

FEW = Thresholds(calls=2, share=0.5, window=1.0)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def a_breaker(clock: Clock, **more) -> Breaker:
    return Breaker("somebody", failures=(TimeoutError,), thresholds=FEW, monotonic=clock, **more)


def call(breaker: Breaker, error: Exception | None = None) -> None:
    with breaker.calling():
        if error is not None:
            raise error


def fail(breaker: Breaker, times: int = 2) -> None:
    for _ in range(times):
        with pytest.raises(TimeoutError):
            call(breaker, TimeoutError())


def test_it_opens_probes_and_closes_and_tells_each_change_once():
    breaker = a_breaker(clock := Clock())
    with capture_logs() as logs:
        fail(breaker)
        with pytest.raises(Open):
            call(breaker)
        clock.now = 1.0
        call(breaker)
    told = [(each["before"], each["after"]) for each in logs if each["event"] == "breaker.changed"]
    assert told == [("closed", "open"), ("open", "half_open"), ("half_open", "closed")]
    assert breaker.openings == 1


def test_an_answer_that_is_an_error_is_an_answer():
    breaker = a_breaker(Clock())
    for _ in range(10):
        with pytest.raises(KeyError):
            call(breaker, KeyError())
    assert breaker.state is State.CLOSED


def test_a_late_answer_counts_as_none():
    breaker = a_breaker(clock := Clock(), slow_seconds=0.05)
    for _ in range(2):
        with breaker.calling():
            clock.now += 0.06
    assert breaker.state is State.OPEN


def test_a_content_system_that_is_always_late_is_not_asked_for_a_while_and_one_that_is_not_is():
    for seconds, state in ((SLOW_CONTENT_SECONDS - 0.1, State.CLOSED), (SLOW_CONTENT_SECONDS + 0.1, State.OPEN)):
        breaker = content_system("shop")
        breaker._monotonic = clock = Clock()
        for _ in range(3):
            with breaker.calling():
                clock.now += seconds
        assert breaker.state is state, seconds


def test_of_many_threads_exactly_one_is_the_probe():
    breaker = a_breaker(clock := Clock())
    fail(breaker)
    clock.now = 1.0
    inside, leave, refused = threading.Semaphore(0), threading.Event(), threading.Semaphore(0)

    def probe() -> None:
        try:
            with breaker.calling():
                inside.release()
                leave.wait(10)
        except Open:
            refused.release()

    threads = [threading.Thread(target=probe) for _ in range(8)]
    for each in threads:
        each.start()
    assert inside.acquire(timeout=10)
    for _ in range(7):
        assert refused.acquire(timeout=10)
    leave.set()
    for each in threads:
        each.join()
    assert breaker.state is State.CLOSED

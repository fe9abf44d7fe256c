"""Who gives no sign of life opens its breaker, before any call failed; the first sign after closes it."""

import threading

import pytest
from structlog.testing import capture_logs

from domain.circuit import State, Thresholds
from serving.breakers import Breaker, Open
from serving.pulse import Pulse


class Server:
    def __init__(self) -> None:
        self.is_there = True
        self.asked = threading.Event()
        self.closed = threading.Event()

    def ask(self) -> None:
        self.asked.set()
        if not self.is_there:
            raise ConnectionError


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def breaker() -> Breaker:
    return Breaker("somebody", failures=(TimeoutError,), thresholds=Thresholds(in_a_row=3))


@pytest.fixture
def pulse(server: Server, breaker: Breaker) -> Pulse:
    return Pulse(breaker, server.ask, server.closed.set, every_seconds=0.001)


def test_no_call_is_risked_while_nobody_answers_and_each_change_is_told_once(server, breaker, pulse):
    with capture_logs() as logs:
        assert pulse.look()
        server.is_there = False
        assert not pulse.look()
        assert not pulse.look()
        assert breaker.is_lost
        with pytest.raises(Open), breaker.calling():
            raise AssertionError("no call may be made")
        server.is_there = True
        assert pulse.look()
    assert (breaker.state, breaker.openings, breaker.is_lost) == (State.CLOSED, 1, False)
    assert [each["event"] for each in logs] == ["pulse.lost", "breaker.changed", "breaker.changed"]


def test_a_server_that_is_there_and_answers_no_call_rests_as_without_a_watch(breaker, pulse):
    for _ in range(3):
        with pytest.raises(TimeoutError), breaker.calling():
            raise TimeoutError
    pulse.look()
    assert breaker.state is State.OPEN


def test_it_ends_lets_go_and_leaves_the_breaker_to_the_calls(server, breaker, pulse):
    server.is_there = False
    pulse.start()
    assert server.asked.wait(10)
    pulse.stop()
    assert server.closed.is_set()
    assert not breaker.is_lost

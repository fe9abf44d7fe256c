"""A breaker opens at the stated counts, sends one probe at a time and rests twice as long after each failed one."""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from domain.circuit import Circuit, State, Thresholds

FEW = Thresholds(calls=4, share=0.5, window=1.0, first_rest=1.0, longest_rest=4.0, probe_patience=10.0)


def fail(circuit: Circuit, times: int, at: float) -> None:
    for _ in range(times):
        call = circuit.admits(at)
        assert call is not None
        circuit.failed(call, at)


def opened(at: float = 0.0) -> Circuit:
    circuit = Circuit(FEW)
    fail(circuit, 4, at)
    assert circuit.state is State.OPEN
    return circuit


def test_it_opens_at_half_of_twenty_calls_in_a_second_and_not_before():
    circuit = Circuit()
    for place in range(20):
        call = circuit.admits(0.0)
        assert circuit.state is State.CLOSED
        (circuit.failed if place % 2 else circuit.succeeded)(call, 0.0)
    assert (circuit.state, circuit.openings) == (State.OPEN, 1)


def test_fewer_failures_or_slower_ones_leave_it_closed():
    circuit = Circuit(FEW)
    fail(circuit, 3, 0.0)
    assert circuit.state is State.CLOSED
    fail(circuit, 3, 1.5)  # the first three are more than a second old
    assert circuit.state is State.CLOSED


def test_an_open_one_lets_nothing_through_until_it_has_rested_and_then_one_call():
    circuit = opened()
    assert circuit.admits(0.999) is None
    assert circuit.admits(1.0) is not None
    assert [circuit.admits(1.0 + later) for later in (0, 0.5, 9.9)] == [None] * 3


def test_a_probe_that_succeeds_closes_it_and_one_that_fails_doubles_the_rest():
    circuit, at = opened(), 1.0
    for rest in (2.0, 4.0, 4.0):
        circuit.failed(circuit.admits(at), at)
        assert circuit.admits(at + rest - 0.001) is None
        at += rest
    circuit.succeeded(circuit.admits(at), at)
    assert (circuit.state, circuit.openings) == (State.CLOSED, 4)
    fail(circuit, 4, at)
    assert circuit.admits(at + 1.0) is not None  # the rest is short again


def test_an_answer_to_a_call_from_before_it_opened_closes_nothing():
    circuit = Circuit(FEW)
    slow = circuit.admits(0.0)
    fail(circuit, 4, 0.0)
    probe = circuit.admits(1.0)
    circuit.succeeded(slow, 1.0)
    assert circuit.state is State.HALF_OPEN
    circuit.failed(probe, 1.0)
    circuit.succeeded(probe, 1.0)  # told twice
    assert circuit.state is State.OPEN


def test_a_probe_nobody_told_the_end_of_is_given_up():
    circuit = opened()
    lost = circuit.admits(1.0)
    assert circuit.admits(10.9) is None
    second = circuit.admits(11.0)
    assert second is not None
    circuit.succeeded(lost, 11.0)
    assert circuit.state is State.HALF_OPEN


def test_a_probe_that_was_not_made_is_replaced_at_once():
    circuit = opened()
    circuit.dropped(circuit.admits(1.0), 1.0)
    assert circuit.admits(1.0) is not None


def test_failures_in_a_row_open_it_whatever_went_well_before_and_one_success_between_them_does_not():
    circuit = Circuit(Thresholds(in_a_row=3))
    for _ in range(100):
        circuit.succeeded(circuit.admits(0.0), 0.0)
    fail(circuit, 2, 0.0)
    circuit.succeeded(circuit.admits(0.0), 0.0)
    fail(circuit, 2, 0.0)
    assert circuit.state is State.CLOSED
    fail(circuit, 1, 0.0)
    assert circuit.state is State.OPEN


def test_one_that_is_lost_risks_no_call_however_long_and_is_closed_when_found():
    circuit = Circuit(FEW)
    slow = circuit.admits(0.0)
    circuit.lost(0.0)
    circuit.lost(0.1)
    assert (circuit.state, circuit.openings) == (State.OPEN, 1)
    assert [circuit.admits(at) for at in (0.1, 1.0, 1000.0)] == [None] * 3
    circuit.succeeded(slow, 1000.0)
    assert circuit.state is State.OPEN
    circuit.found()
    assert circuit.admits(1000.0) is not None


def test_who_finds_what_was_never_lost_closes_nothing():
    circuit = opened()
    circuit.found()
    assert circuit.admits(0.5) is None


@dataclass
class Seen:
    probes: int = 0
    open_since: float | None = None
    under_way: list[tuple[int, bool]] = field(default_factory=list)


class Machine(RuleBasedStateMachine):
    """Any order of calls, answers and time: never two probes at once, never a call while it rests."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.circuit = Circuit(FEW)
        self.seen = Seen()

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 3.0]))
    def wait(self, seconds):
        self.now += seconds

    @rule()
    def ask(self):
        was = self.circuit.state
        call = self.circuit.admits(self.now)
        if call is not None:
            self.seen.under_way.append((call, was is not State.CLOSED))
        if was is State.OPEN and self.seen.open_since is not None and self.now < self.seen.open_since + FEW.first_rest:
            assert call is None

    @precondition(lambda self: self.seen.under_way)
    @rule(data=st.data(), is_failure=st.booleans())
    def end(self, data, is_failure):
        call, _ = self.seen.under_way.pop(data.draw(st.integers(0, len(self.seen.under_way) - 1)))
        was = self.circuit.state
        (self.circuit.failed if is_failure else self.circuit.succeeded)(call, self.now)
        if self.circuit.state is State.OPEN and was is not State.OPEN:
            self.seen.open_since = self.now

    @invariant()
    def one_probe(self):
        if self.circuit.state is State.HALF_OPEN and self.now < self.circuit._until:
            assert self.circuit.admits(self.now) is None


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)

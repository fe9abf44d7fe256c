"""A deadline is a moment on the monotonic clock; a wait takes what is left of it, within its own bounds."""

import pytest

from domain.deadline import Deadline, seconds_for


def test_what_is_left_shrinks_to_nothing_and_never_below():
    deadline = Deadline.after_ms(50, now=10.0)
    assert deadline.left(10.0) == pytest.approx(0.05)
    assert deadline.left(10.02) == pytest.approx(0.03)
    assert (deadline.left(11.0), deadline.is_over(10.049), deadline.is_over(11.0)) == (0.0, False, True)


@pytest.mark.parametrize(("now", "seconds"), [(0.0, 0.05), (0.08, 0.02), (0.5, 0.0)])
def test_a_wait_takes_what_is_left_and_no_more_than_is_usual(now, seconds):
    assert seconds_for(Deadline(0.1), now, most=0.05) == pytest.approx(seconds)


def test_what_must_be_done_has_a_floor_and_without_a_deadline_the_usual_time():
    assert seconds_for(Deadline(0.1), 0.5, most=2.0, least=1.0) == 1.0
    assert seconds_for(None, 0.5, most=2.0) == 2.0

"""A thread of a service outlives a round that fails, whatever it fails of."""

import threading

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from adapters.postgres.engine import Unavailable
from serving.background import Background


class Failing(Background):
    """Fails in the first round, and says when the next one came."""

    def __init__(self, error):
        super().__init__("failing", every_seconds=0.01, on_unavailable="failing.away")
        self.came_again = threading.Event()
        self._error = error

    def work(self):
        error, self._error = self._error, None
        if error:
            raise error
        self.came_again.set()


@pytest.mark.parametrize(
    ("error", "event"), [(Unavailable("away"), "failing.away"), (KeyError("a@b.example"), "background.failed")]
)
def test_the_next_round_comes_after_one_that_failed_and_a_line_tells_of_it(error, event):
    with capture_logs() as lines, Failing(error) as failing:
        assert failing.came_again.wait(10)
    assert [line["event"] for line in lines] == [event]
    assert "a@b.example" not in str(lines), "what an exception says may be somebody's data"


def test_only_a_fault_that_nobody_expected_is_counted():
    def counted():
        return REGISTRY.get_sample_value("kairos_background_failed_total", {"work": "failing"}) or 0

    before = counted()
    for error in (Unavailable("away"), ValueError("odd")):
        with Failing(error) as failing:
            assert failing.came_again.wait(10)
    assert counted() == before + 1

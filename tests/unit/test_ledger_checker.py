"""The ledger's checker finds what it is there to find."""

import pytest

from tests.ledger import Ledger, check


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.note_sent(["a", "b", "c"])
    ledger.note_acknowledged(["a", "b"])
    yield ledger
    ledger.close()


@pytest.mark.parametrize(
    ("stored", "lost", "duplicated", "phantom"),
    [
        (["a", "b"], set(), set(), set()),
        (["a", "b", "c"], set(), set(), set()),  # an unknown attempt may be stored
        (["a"], {"b"}, set(), set()),
        (["a", "b", "b"], set(), {"b"}, set()),
        (["a", "b", "x"], set(), set(), {"x"}),
    ],
)
def test_the_checker_tells_lost_doubled_and_made_up_events_apart(ledger, stored, lost, duplicated, phantom):
    findings = check(ledger, stored)
    assert (findings.lost, findings.duplicated, findings.phantom) == (lost, duplicated, phantom)
    assert findings.acknowledged == 2


def test_what_was_acknowledged_is_on_disk_before_the_next_step(ledger, tmp_path):
    assert (tmp_path / "ledger.jsonl").read_text().splitlines() == [
        '{"sent": ["a", "b", "c"]}',
        '{"acknowledged": ["a", "b"]}',
    ]

"""``kairos simulate``: figures that add up, files that ``kairos ingest`` reads, one sentence for what is wrong."""

from functools import partial

import pytest

from adapters import event_files
from tests.command_line import asked

SMALL = ("--users", 80, "--days", 15, "--seed", 4, "--start", "2025-01-06")


@pytest.fixture
def run(kairos):
    """Return a call of ``kairos simulate``."""
    return partial(kairos, "simulate")


def test_the_weeks_add_up_to_the_total(run):
    found = asked(run, *SMALL, "--policy", "cap:21")
    assert [week["week"] for week in found["weeks"]] == [1, 2, 3]
    for name in ("asked", "sent", "opened", "opted_out", "bought"):
        assert found["total"][name] == sum(week[name] for week in found["weeks"])
    assert found["total"]["sent"] > 1000
    assert found["total"]["open_rate"] == found["total"]["opened"] / found["total"]["sent"]
    assert found["total"]["reach"] == found["weeks"][-1]["reach"]


def test_without_messages_there_is_no_open_rate(run):
    found = asked(run, *SMALL, "--policy", "none")
    assert (found["total"]["sent"], found["total"]["open_rate"]) == (0, None)
    assert found["total"]["active_share"] > 0.1


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
@pytest.mark.parametrize("policy", ["cap:21", "none"])
def test_the_file_of_events_is_read_by_what_ingests_files(run, tmp_path, ending, policy):
    path = tmp_path / f"events.{ending}"
    found = asked(run, *SMALL, "--policy", policy, "--events", path)
    items = list(event_files.items(path, None, source=None))
    assert [item.rejection for item in items if item.event is None] == []
    assert len(items) == found["events"]["count"] > 100
    kinds = [item.event.type.value for item in items]
    assert kinds.count("notification_sent") == found["total"]["sent"]
    assert list(tmp_path.iterdir()) == [path]


def test_both_kinds_of_file_hold_the_same_events(run, tmp_path):
    digests = []
    for ending in ("jsonl", "parquet"):
        path = tmp_path / f"events.{ending}"
        asked(run, *SMALL, "--policy", "cap:21", "--scenario", "easy", "--events", path)
        digests.append([item.event.digest() for item in event_files.items(path, None, source=None)])
    assert digests[0] == digests[1]


def test_the_same_command_writes_the_same_file(run, tmp_path):
    made = []
    for name in ("one.jsonl", "two.jsonl"):
        run(*SMALL, "--events", tmp_path / name)
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1]


def test_sentences_have_a_line_for_each_week(run):
    code, out, _ = run(*SMALL)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[2:]] == ["1", "2", "3", "all"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--scenario", "sunny"), "expected one of realistic"),
        (("--policy", "cap:x"), "no policy 'cap:x'"),
        (("--start", "2025-01-07"), "2025-01-07 is no Monday"),
        (("--events", "events.xml"), ".jsonl, .parquet"),
        (("--events", "none/events.jsonl"), "no such folder"),
        (("--users", "10000000"), "at most 20,000,000"),
        (("--api", "http://127.0.0.1:1"), "KAIROS_API_KEY is not set"),
        (("--api", "http://127.0.0.1:1", "--users", 100_001), "--users: expected at most 100,000 with --api"),
        (("--journal", "j"), "--journal: only with --api"),
        (("--api", "http://127.0.0.1:1", "--events", "e.jsonl"), "--events: not with --api"),
        (("--api", "http://127.0.0.1:1", "--policy", "cap:3"), "--policy: not with --api"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_a_usage_error(run, words, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []

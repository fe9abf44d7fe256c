"""Heartbeats tell a process that works from one that waits, hangs, has stopped or never was."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter

from adapters import heartbeat
from adapters.heartbeat import STALE_AFTER_SECONDS, Doing, Heartbeat, NotBeating

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def beat(**changes: object) -> Heartbeat:
    return Heartbeat(**{"name": "relay", "pid": 7, "at": NOON, "doing": Doing.WORKING, **changes})


def written(folder: Path, given: Heartbeat) -> None:
    metrics = CollectorRegistry()
    Counter("kairos_relay_published", "rows", registry=metrics).inc(3)
    heartbeat.write(folder, given, metrics)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    given = beat(lag_seconds=1.5, numbers={"published": 3.0}, problem=None)
    written(tmp_path, given)
    assert heartbeat.read(tmp_path, "relay") == given
    assert b"kairos_relay_published_total 3.0" in heartbeat.exposition(tmp_path)
    assert sorted(path.name for path in (tmp_path / "health").iterdir()) == ["relay.json", "relay.prom"]


@pytest.mark.parametrize(
    ("changes", "after", "why"),
    [
        ({"doing": Doing.WAITING, "problem": "Redis does not answer"}, 0, "Redis does not answer"),
        ({"doing": Doing.STOPPED}, 0, "was stopped"),
        ({}, STALE_AFTER_SECONDS + 1, "was working at"),
    ],
)
def test_only_a_recent_working_beat_is_alive(
    tmp_path: Path, changes: dict[str, object], after: float, why: str
) -> None:
    written(tmp_path, beat(**changes))
    with pytest.raises(NotBeating, match=why):
        heartbeat.require(tmp_path, "relay", NOON + timedelta(seconds=after))


def test_a_recent_working_beat_is_enough(tmp_path: Path) -> None:
    written(tmp_path, beat())
    heartbeat.require(tmp_path, "relay", NOON + timedelta(seconds=STALE_AFTER_SECONDS))


def test_no_beat_and_a_broken_file_are_nobody(tmp_path: Path) -> None:
    with pytest.raises(NotBeating, match="never run"):
        heartbeat.require(tmp_path, "relay", NOON)
    written(tmp_path, beat())
    (tmp_path / "health" / "relay.json").write_text("{")
    assert heartbeat.read(tmp_path, "relay") is None
    assert heartbeat.exposition(tmp_path / "elsewhere") == b""


def test_a_folder_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "health").write_text("a file where a folder should be")
    written(tmp_path, beat())
    assert [path.name for path in tmp_path.iterdir()] == ["health"]

"""The spool keeps what was answered through kills and torn lines, once each, sealed, and never more than it may."""

import os
from dataclasses import replace

import pytest

from adapters.decision_spool import FILE, DecisionSpool, SpoolUnavailable
from adapters.decisions_aside import FILE as ASIDE
from adapters.postgres.engine import Unavailable
from adapters.secrets import SecretBox
from adapters.spooled import Spooled
from domain.decision_record import Evidence
from domain.tenants import Tenant
from serving.decision_rows import row_of
from tests.builders import SETTINGS, a_decision, a_request

TENANT = Tenant(tenant="t", display_name="t", subject_secret=b"t" * 32)
BOX = SecretBox(b"s" * 32)
MEGABYTE = 1024 * 1024


def opened(folder, *, most_bytes=MEGABYTE, box=BOX) -> DecisionSpool:
    spool = DecisionSpool(folder, box, most_bytes=most_bytes)
    spool.open()
    return spool


def spooled(number: int, **changes) -> Spooled:
    draft = a_decision(a_request(recipient_id="canary-recipient"), decision_id=f"d{number}")
    evidence = Evidence("s", is_holdout=False, may_personalize=True, degraded=None, settings=SETTINGS, type_version=1)
    return Spooled("t", "key:k", replace(row_of(TENANT, draft, evidence), **changes))


def drained(spool: DecisionSpool) -> list[Spooled]:
    found: list[Spooled] = []
    spool.drain(found.append)
    return found


def test_what_was_added_is_there_after_a_kill_to_the_last_byte(tmp_path):
    first = opened(tmp_path)
    for number in range(3):
        first.add(spooled(number))
    # Not closed: a killed process closes nothing, and its lock goes with it.
    os.close(first._handle)
    again = opened(tmp_path)
    assert drained(again) == [spooled(number) for number in range(3)]
    assert (len(again), (tmp_path / FILE).stat().st_size) == (0, 0)


def test_nothing_in_the_file_can_be_read_without_the_secret(tmp_path):
    spool = opened(tmp_path)
    spool.add(spooled(1))
    spool.set_aside(spooled(2))
    for name in (FILE, ASIDE):
        body = (tmp_path / name).read_bytes()
        assert b"canary" not in body
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    spool.close()
    assert len(opened(tmp_path, box=SecretBox(b"x" * 32))) == 0


@pytest.mark.parametrize("cut", [1, 10, 100])
def test_a_line_that_was_cut_short_is_cut_off_and_the_next_one_is_whole(tmp_path, cut):
    spool = opened(tmp_path)
    for number in range(2):
        spool.add(spooled(number))
    spool.close()
    os.truncate(tmp_path / FILE, (tmp_path / FILE).stat().st_size - cut)
    again = opened(tmp_path)
    assert len(again) == 1
    again.add(spooled(2))
    again.close()
    assert [each.row.decision_id for each in drained(opened(tmp_path))] == ["d0", "d2"]


def test_an_id_is_kept_once_and_the_first_counts(tmp_path):
    spool = opened(tmp_path)
    spool.add(spooled(1))
    spool.add(spooled(1, reason="expiry.passed"))
    assert drained(spool) == [spooled(1)]


def test_a_full_spool_refuses_and_keeps_what_it_has(tmp_path):
    spool = opened(tmp_path, most_bytes=10_000)
    spool.add(spooled(0))
    with pytest.raises(SpoolUnavailable, match="full"):
        spool.add(spooled(1, reason="r" * 10_000))
    spool.close()
    assert [each.row.decision_id for each in drained(opened(tmp_path))] == ["d0"]


def test_a_write_that_fails_half_way_leaves_no_half_line(tmp_path, monkeypatch):
    spool = opened(tmp_path)
    spool.add(spooled(1))
    real = os.pwrite

    def half(handle, body, at):
        real(handle, body[: len(body) // 2], at)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "pwrite", half)
        with pytest.raises(SpoolUnavailable):
            spool.add(spooled(2))
    assert spool.get("t", "d2") is None
    spool.add(spooled(3))
    spool.close()
    assert [each.row.decision_id for each in drained(opened(tmp_path))] == ["d1", "d3"]


def test_a_folder_that_cannot_be_written_refuses_and_stops_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    spool = opened(tmp_path / "file")
    with pytest.raises(SpoolUnavailable, match="cannot be written"):
        spool.add(spooled(1))


def test_two_processes_never_write_one_file(tmp_path):
    first, second = opened(tmp_path), opened(tmp_path)
    with pytest.raises(SpoolUnavailable):
        second.add(spooled(1))
    first.close()
    second.add(spooled(1))


def test_a_drain_that_is_broken_off_loses_nothing_and_what_is_added_meanwhile_is_drained_too(tmp_path):
    spool = opened(tmp_path)
    for number in range(3):
        spool.add(spooled(number))

    def record(each: Spooled) -> None:
        if each.row.decision_id == "d1":
            raise Unavailable("away")

    with pytest.raises(Unavailable):
        spool.drain(record)
    assert len(spool) == 3
    seen = []

    def slow(each: Spooled) -> None:
        if not seen:
            spool.add(spooled(9))
        seen.append(each.row.decision_id)

    assert spool.drain(slow) == 4
    assert seen == ["d0", "d1", "d2", "d9"]
    assert len(spool) == 0

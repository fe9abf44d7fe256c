"""The table of experiments: every bar has a row, rows go on without their peers and data, worlds are kept."""

import json
import sys

import numpy as np
import pytest

from benchmarks import calibration, explanations, long_volume, off_policy_bars, peers, real_data, science, worlds
from benchmarks.priced_volume import LEARNT_DAYS, PricedVolume


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """Leave nothing that could make an environment."""
    monkeypatch.setattr(peers, "CACHE", tmp_path / "peers")
    monkeypatch.setattr(peers, "_uv", lambda: ["no-such-program"])


def run(monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["science", *words])
    with pytest.raises(SystemExit) as left:
        science.main()
    return left.value.code, capsys.readouterr()


def test_every_bar_has_a_row_that_says_what_it_asks(monkeypatch, capsys):
    assert [name for name in science.ROWS if name.startswith("B")] == [f"B{number}" for number in range(1, 22)]
    code, said = run(monkeypatch, capsys, "--help")
    assert code == 0
    assert all(f"- {name}: {row.about}." in said.out for name, row in science.ROWS.items())


def test_a_row_that_there_is_not_is_refused_by_name(monkeypatch, capsys):
    code, said = run(monkeypatch, capsys, "--only", "B3,B99")
    assert code == science.UNKNOWN
    assert "no such row: B99" in said.err


def test_bars_held_elsewhere_and_data_that_are_not_there_miss_nothing(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(science.purchase_hours, "DATA", None)
    monkeypatch.setattr(real_data, "DATA", None)
    words = ("--json", "--only", "B10,B11,B16,engagement,open_bandit,hillstrom,purchase_hours")
    code, said = run(monkeypatch, capsys, *words, "--data", str(tmp_path))
    told = json.loads(said.out)
    assert code == 0
    assert told["B16"] == {"skipped": "comes with speed", "met": None}
    assert told["engagement"]["skipped"] == "data absent: completejourney"
    assert {row["met"] for row in told.values()} == {None}


def test_a_missed_target_is_the_exit_code(monkeypatch, capsys):
    monkeypatch.setitem(science.ROWS, "B3", science.Row(lambda: {"met": False}, "missed"))
    assert run(monkeypatch, capsys, "--only", "B3")[0] == 1


def test_a_row_is_measured_without_a_peer_that_cannot_be_installed(alone):
    found = off_policy_bars.equality_with_obp()
    assert found["met"]
    assert found["peer"] is None
    assert "obp==0.5.7 could not be installed: " in found["peer unavailable"]


def test_a_peer_whose_program_fails_is_unavailable_and_says_its_last_words(monkeypatch, tmp_path):
    (tmp_path / "fails.py").write_text("raise SystemExit('no such flag')")
    monkeypatch.setattr(peers, "SCRIPTS", tmp_path)
    monkeypatch.setattr(peers, "python", lambda _: sys.executable)
    with pytest.raises(peers.Unavailable, match="failed: no such flag"):
        peers.ask(peers.OBP, "fails.py")


def test_a_peer_is_asked_again_and_again_through_files(monkeypatch, tmp_path):
    (tmp_path / "doubles.py").write_text(
        "import sys, numpy\n"
        "for line in sys.stdin:\n"
        "    given, answer = line.rstrip('\\n').split('\\t')\n"
        "    numpy.savez(answer, x=2 * numpy.load(given)['x'])\n"
        "    print('done', flush=True)\n"
    )
    monkeypatch.setattr(peers, "SCRIPTS", tmp_path)
    monkeypatch.setattr(peers, "python", lambda _: sys.executable)
    company = peers.Company(peers.OBP, "doubles.py")
    try:
        assert [company.ask(x=np.array([one]))["x"].tolist() for one in (1, 2)] == [[2], [4]]
    finally:
        company.close()


def test_worlds_that_are_kept_are_not_measured_again(monkeypatch, tmp_path):
    monkeypatch.setattr(worlds, "JOURNAL", tmp_path / "worlds.jsonl")
    measured = []

    def measure(seed):
        measured.append(seed)
        return {"seed": seed}

    worlds.each("one", (1, 2), measure)
    with worlds.JOURNAL.open("a") as file:
        file.write('{"name": "one", "se')  # cut off in the middle of a world
    assert worlds.each("one", (1, 2, 3), measure) == [{"seed": 1}, {"seed": 2}, {"seed": 3}]
    assert measured == [1, 2, 3]
    worlds.each("other", (1,), measure)
    assert measured == [1, 2, 3, 1]


def test_contributions_leave_nothing_over(alone):
    found = explanations.measure()
    assert found["left_over"] < 1e-5


def test_an_unlogged_bonus_is_found_and_its_absence_is_not(monkeypatch):
    low, high = off_policy_bars.with_unlogged_bonus(5_000)
    assert not low <= 1 <= high
    monkeypatch.setattr(off_policy_bars, "BONUS", 0.0)
    low, high = off_policy_bars.with_unlogged_bonus(5_000)
    assert low <= 1 <= high


def test_the_priced_policy_keeps_its_volume_and_brings_more_than_chance_does():
    people, days = 1500, LEARNT_DAYS + 28
    priced = long_volume.lived(PricedVolume(people, 3.0, *long_volume.TWELVE_WEEKS), 0, days, people)
    capped = long_volume.lived(long_volume.by_name("cap:3"), 0, days, people)
    assert priced["weekly"] == pytest.approx(3.0, abs=0.1)
    assert priced["late"] > capped["late"]


def test_probabilities_mean_more_after_calibration_than_before(alone):
    found = calibration.compare(0, people=500)
    assert set(found["maps"]) == {"raw", "isotonic", "platt"}
    assert found["maps"]["platt"]["ece"] < found["maps"]["raw"]["ece"] + 0.01
    assert abs(found["maps"]["platt"]["slope"] - 1) < abs(found["maps"]["raw"]["slope"] - 1)

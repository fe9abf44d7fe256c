"""People at a service: the same as offline, told of in the order of time, stopped and gone on with."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from adapters.simulation.journal import Journal, OtherRun
from adapters.simulation.player import Cast, Player
from adapters.simulation.service import Service, ServiceFault
from models.simulator import sender
from models.simulator.run import simulate, together
from models.simulator.scenarios import SCENARIOS
from models.simulator.state import Sends
from tests.simulated_service import FakeService

CAST = Cast(SCENARIOS["easy"], people=60, days=10, seed=4, start=datetime(2025, 1, 6, tzinfo=UTC), name="t")


def played(fake, path=None, cast=CAST):
    """Return the run, and the player, of everything or of what was left to do."""

    def set_clock(at):
        fake.clock = at

    published = []
    with Service("http://service", "key", workers=1, transport=fake.transport) as service:
        player = Player(cast, service, Journal(path, cast.about()), set_clock=set_clock, publish=published.append)
        days = list(player.days())
    return together(days), player, published


def offline(state):
    """Do what the fake service does, without it."""
    consent, hours = state.seen.consent, sender.hours(state)
    who = np.flatnonzero(consent[:, 0] | consent[:, 1]).astype(np.int64)
    channel = np.where(consent[who, 0], 0, 1)
    ones = np.ones(len(who))
    return Sends(who, channel, np.full(len(who), 3), hours[who] + 5 / 60, ones)


def test_people_do_at_a_service_what_they_do_offline_under_the_same_choices():
    live, _, _ = played(FakeService())
    alone = simulate(CAST.scenario, offline, people=CAST.people, days=CAST.days, seed=CAST.seed)
    pd.testing.assert_frame_equal(live.daily, alone.daily)
    pd.testing.assert_frame_equal(live.visits, alone.visits)
    columns = ["day", "person", "channel", "variant", "opened", "opted_out"]
    pd.testing.assert_frame_equal(live.sends[columns], alone.sends[columns])
    assert live.daily["opted_out"].sum() > 0
    assert live.daily["without_consent"].sum() == 0


def test_everything_that_happened_by_the_end_is_told_once_and_nothing_before_its_time():
    fake = FakeService()
    run, player, published = played(fake)
    assert fake.early == []
    kinds = pd.Series([event["type"] for event in fake.told.values()]).value_counts()
    assert kinds["notification_sent"] == len(run.sends)
    assert kinds["app_opened"] == len(run.visits)
    assert kinds["unsubscribed"] <= run.sends["opted_out"].sum()
    answered = kinds["opened"] + kinds.get("clicked", 0)
    assert answered == kinds["converted"] <= run.sends["opened"].sum()
    assert player.told.events == {"stored": len(fake.told)}
    assert {each["decision_id"] for each in fake.told.values() if "decision_id" in each} <= {
        each["decision_id"] for each in fake.answers.values()
    }
    assert [len(each.variants) for each in published] == [10, 10], "two variants retire and two come"


def test_a_service_that_takes_no_batches_is_asked_one_by_one_with_the_same_result():
    many, single = FakeService(), FakeService(batches=False)
    pd.testing.assert_frame_equal(played(many)[0].daily, played(single)[0].daily)
    assert sorted(many.asked) == sorted(single.asked)


@pytest.mark.parametrize("key", ["t-0-5", "t-17-0", "t-59-9"])
def test_a_run_that_was_stopped_goes_on_and_ends_as_one_that_was_not(tmp_path, key):
    whole, stopped = FakeService(), FakeService()
    expected, _, _ = played(whole)
    stopped.dies_at = key
    with pytest.raises(KeyboardInterrupt):
        played(stopped, tmp_path / "journal")
    found, player, _ = played(stopped, tmp_path / "journal")
    pd.testing.assert_frame_equal(found.daily, expected.daily)
    assert stopped.told == whole.told
    assert stopped.early == []
    again = [each for each in set(stopped.asked) if stopped.asked.count(each) > 1]
    assert {each.rsplit("-", 1)[1] for each in again} <= {key.rsplit("-", 1)[1]}, "only the broken day is asked again"
    assert player.told.outcomes.total() == CAST.people * CAST.days


def test_a_finished_run_asks_nothing_more(tmp_path):
    fake = FakeService()
    played(fake, tmp_path / "journal")
    asked, told = list(fake.asked), dict(fake.told)
    played(fake, tmp_path / "journal")
    assert (fake.asked, fake.told) == (asked, told)


def test_a_torn_last_line_is_a_day_to_ask_about_again(tmp_path):
    fake, path = FakeService(), tmp_path / "journal"
    expected, _, _ = played(fake, path)
    path.write_bytes(path.read_bytes()[:-20])
    found, _, _ = played(fake, path)
    pd.testing.assert_frame_equal(found.daily, expected.daily)
    assert Journal(path, CAST.about()).last_day == CAST.days - 1


@pytest.mark.parametrize("text", ["no json\n", '{"about": {"seed": 3}}\n', "[1]\n"])
def test_the_journal_of_another_run_is_left_alone_and_said_so(tmp_path, text):
    path = tmp_path / "journal"
    path.write_text(text)
    with pytest.raises(OtherRun, match=str(path)):
        Journal(path, CAST.about())
    assert path.read_text() == text


def test_a_busy_service_is_asked_again_and_one_that_stays_busy_is_given_up(monkeypatch):
    monkeypatch.setattr("adapters.simulation.service.FIRST_PAUSE_SECONDS", 0.0)
    fake = FakeService()
    with Service("http://service", "key", transport=fake.transport) as service:
        fake.busy = 3
        service.welcome({"r": {"push": True}}, time_zone="UTC", source="test")
        fake.busy = 1_000
        with pytest.raises(ServiceFault, match=r"/v1/events: not answered after 6 tries; the last: 503 busy"):
            service.tell([{"event_id": "e"}])


def test_an_event_that_is_not_stored_ends_the_run(monkeypatch):
    fake = FakeService()
    fake.clock = datetime(2025, 1, 6, tzinfo=UTC)
    event = {"event_id": "e", "type": "login", "occurred_at": "2025"}
    with Service("http://service", "key", transport=fake.transport) as service:
        assert service.tell([event, event]) == {"stored": 1, "duplicate": 1}
        with pytest.raises(ServiceFault, match=r"1 events were not stored; the first:.*conflict"):
            service.tell([event | {"type": "logout"}])

"""Habits from events: whose hours and answers count, and what a planted habit makes of a recipient."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from adapters.lake import Lake
from adapters.model_registry import Version
from assets.steps import event_days, habit_fit, habit_fits, habit_rows, volume_fit, weariness_fit
from assets.steps.training_rows import Facts
from domain.consent import ConsentState
from domain.events import EVENT_COLUMNS
from feature_repo import habit_columns
from models.channel_value.spec import CHANNELS
from models.fatigue import registered as weariness
from models.fatigue.spec import PRIOR
from models.send_time import packed, registered, score
from models.send_time.train import NotEnoughData
from models.volume.train import NotEnoughData as TooFewWeeks

END = datetime(2026, 3, 2, tzinfo=UTC)
"""A Monday at midnight."""
EMAIL = CHANNELS.index("email")
NOWS = {"t": END}


class Days(Lake):
    """A lake whose days are all checked."""

    def require_checked(self, table: str, **_days: object) -> None:
        assert table


def said(purpose: str, status: str = "given", days_ago: float = 300) -> ConsentState:
    moment = END - timedelta(days=days_ago)
    return ConsentState(purpose=purpose, channel="*", status=status, effective_at=moment)


GIVEN = said("personalization")


def event(who: str, kind: str, days_ago: float, **fields: object) -> dict[str, object]:
    at = END - timedelta(days=days_ago)
    hour = at.weekday() * 24 + at.hour
    told = {"tenant": "t", "recipient_id": who, "type": kind, "occurred_at": at, "local_hour_of_week": hour}
    return dict.fromkeys(EVENT_COLUMNS) | told | fields


def gathered(folder: Path, events: list[dict[str, object]], **histories: tuple[ConsentState, ...]) -> habit_rows.Habits:
    lake, frame = Days(folder), pd.DataFrame(events)
    for day, part in frame.groupby(frame["occurred_at"].dt.date):
        lake.write(event_days.TABLE, event_days.table_of(part), day=day)
    return habit_rows.gather(lake, Facts({("t", name): states for name, states in histories.items()}, {}), NOWS)


def held_to_the_champion(make, habits, fit, unit):
    """Assert that a fit passes beside a champion like it, fails where it must tell more, and minds no broken one."""
    again = make(habits, fit.files)
    assert (again.files, again.refusal) == (fit.files, "")
    assert f"champion_{unit}" in again.metrics
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(habit_fit, "RIVAL_MARGIN", -9.0)
        assert make(habits, fit.files).refusal.startswith("the champion tells the last days better")
        assert make(habits, {"parameters.json": b"{}"}).refusal == ""


def test_only_who_allows_it_now_counts_and_what_follows_a_message_within_the_hour_does_not(tmp_path):
    visits = [event(who, "page_viewed", 3) for who in ("given", "never", "left")]
    brought = [
        event("given", "notification_sent", 12, channel="email", campaign_id="c"),
        event("given", "clicked", 12 - 0.5 / 24, channel="email", campaign_id="c"),
        event("given", "clicked", 12 - 3 / 24, channel="email", campaign_id="c"),
    ]
    left = (GIVEN, said("personalization", "withdrawn", 1))
    habits = gathered(tmp_path, [*visits, *brought], given=(GIVEN,), left=left)
    assert list(habits.who["recipient_id"]) == ["given"]
    assert sorted(habits.hours["age_days"]) == pytest.approx([3, 12 - 3 / 24])
    assert habits.messages[["channel", "answered"]].to_numpy().tolist() == [[EMAIL, 1.0]]


def test_opens_are_left_out_of_whoever_refused_their_tracking_and_so_are_their_messages(tmp_path):
    events = [
        each
        for who in ("open", "barred")
        for each in (
            event(who, "notification_sent", 20, channel="email", decision_id=f"d{who}"),
            event(who, "opened", 19, channel="email", decision_id=f"d{who}"),
            event(who, "purchase", 2),
        )
    ]
    habits = gathered(tmp_path, events, open=(GIVEN,), barred=(GIVEN, said("open_tracking", "withdrawn")))
    made = habit_rows.rows(habits, NOWS).set_index("recipient_id")
    opens = made[habit_columns.HOURS_OF_OPENS].map(lambda text: packed.from_text(text).sum() > 0)
    assert opens.to_dict() == {"barred": False, "open": True}
    assert (made["habit_sent_email"] > 0).to_dict() == {"barred": False, "open": True}
    assert made["habit_answered_email"]["open"] == made["habit_sent_email"]["open"]


def test_a_message_is_answered_within_the_week_by_what_names_it_and_counts_when_the_week_is_over(tmp_path):
    sent = [
        event("r", "notification_sent", age, channel="push", decision_id=f"d{number}")
        for number, age in enumerate((30, 20, 3))
    ]
    answers = [
        event("r", "clicked", 29, channel="push", decision_id="d0"),
        event("r", "converted", 5, decision_id="d1"),
    ]
    habits = gathered(tmp_path, [*sent, *answers, event("r", "login", 0.1)], r=(GIVEN,))
    assert habits.messages["answered"].tolist() == [1.0, 0.0]


def test_who_always_comes_at_20_gets_that_hour_and_who_never_came_gets_the_populations(tmp_path):
    dice = np.random.default_rng(1)
    events = [event("evening", "clicked", day - 20 / 24, channel="push") for day in range(1, 85)]
    for person in range(40):
        peak = 7.5 if person % 2 else 16.5
        events += [
            event(f"p{person}", "page_viewed", day - (peak + dice.normal(0, 1.5)) / 24)
            for day in range(1, 85)
            if dice.random() < 0.5
        ]
    names = ["evening", *(f"p{person}" for person in range(40))]
    habits = gathered(tmp_path, events, **dict.fromkeys(names, (GIVEN,)))
    fit = habit_fits.send_time(habits)
    assert fit.refusal == ""
    assert fit.metrics["nats_low"] > 0
    found = registered.from_files(fit.files)
    counts = habit_rows.hour_counts(habits.hours, "age_days", len(habits.who))
    mine = score.activity(counts[[list(habits.who["recipient_id"]).index("evening")]], found)[0]
    (nobody,) = score.activity(np.zeros((1, 168)), found)
    at_20 = np.arange(168) % 24 == 20
    assert mine[at_20].mean() > 3 * nobody[at_20].mean()
    assert nobody == pytest.approx(found.shares @ found.profiles)
    held_to_the_champion(habit_fits.send_time, habits, fit, "nats")


def test_too_little_is_said_with_what_is_needed(tmp_path):
    habits = gathered(tmp_path, [event("r", "login", 1)], r=(GIVEN,))
    with pytest.raises(NotEnoughData, match="at least 30 are needed"):
        habit_fits.send_time(habits)
    with pytest.raises(NotEnoughData, match="at least 200"):
        habit_fits.channel_value(habits)


def test_channels_are_fitted_where_people_differ_and_held_to_the_champion(tmp_path):
    events, names = [], [f"p{number}" for number in range(60)]
    for place, name in enumerate(names):
        for age in range(9, 80, 4):
            decision = f"{name}-{age}"
            events.append(event(name, "notification_sent", age, channel="push", decision_id=decision))
            events += [event(name, "clicked", age - 0.1, channel="push", decision_id=decision)] * (place % 2)
        events.append(event(name, "login", 0.5))
    habits = gathered(tmp_path, events, **dict.fromkeys(names, (GIVEN,)))
    fit = habit_fits.channel_value(habits)
    assert (fit.refusal, fit.metrics["skill"] > 0.3) == ("", True)
    held_to_the_champion(habit_fits.channel_value, habits, fit, "skill")


def test_weariness_is_the_prior_with_a_flag_until_enough_messages_tell(tmp_path):
    events = [event("r", "notification_sent", 40, channel="push", decision_id="d"), event("r", "login", 1)]
    fit = weariness_fit.fatigue(gathered(tmp_path, events, r=(GIVEN,)))
    assert weariness.from_files(fit.files) == PRIOR
    assert (fit.refusal, fit.metrics["fitted"]) == ("", 0.0)
    assert "not enough data: 0 messages to somebody weary" in fit.limits


def test_weariness_that_later_messages_show_is_fitted(tmp_path):
    dice, events, names = np.random.default_rng(3), [], [f"p{number}" for number in range(60)]
    for name in names:
        weary, before = 0.0, 100.0
        for number, age in enumerate(np.sort(dice.uniform(8, 100, 40))[::-1]):
            weary *= 2 ** (-(before - age) / 2)
            did = dice.random() < 1 / (1 + np.exp(0.5 + weary))
            decision = f"{name}-{number}"
            events.append(event(name, "notification_sent", age, channel="push", decision_id=decision))
            events += [event(name, "clicked", age - 0.01, channel="push", decision_id=decision)] * bool(did)
            weary, before = weary + (0.4 if did else 1.1), age
        events.append(event(name, "login", 0.5))
    habits = gathered(tmp_path, events, **dict.fromkeys(names, (GIVEN,)))
    fit = weariness_fit.fatigue(habits)
    assert fit.metrics["fitted"] == 1.0
    assert fit.metrics["nats_low"] > 0
    assert weariness.from_files(fit.files).on_open < -0.5
    held_to_the_champion(weariness_fit.fatigue, habits, fit, "nats")


def weekly_events(name: str, *, keen: bool, dice: np.random.Generator) -> list[dict[str, object]]:
    """Return 13 weeks of somebody written to 0 to 3 times a week; who is keen comes twice more for each message."""
    events = []
    for week in range(1, 14):
        count = int(dice.integers(0, 4))
        for number in range(count):
            decision = f"{name}-{week}-{number}"
            events.append(event(name, "notification_sent", 7 * week + 1 + number, channel="push", decision_id=decision))
        visits = 1 + keen * 2 * count
        events += [event(name, "login", 7 * week + 0.5 + 0.6 * visit) for visit in range(visits)]
    return [*events, event(name, "login", 0.0)]


def test_weekly_volume_goes_to_whom_messages_bring_within_what_is_sent(tmp_path):
    dice, names = np.random.default_rng(5), [f"p{number:03d}" for number in range(210)]
    events = [each for number, name in enumerate(names) for each in weekly_events(name, keen=number < 70, dice=dice)]
    habits = gathered(tmp_path, events, **dict.fromkeys(names, (GIVEN,)))
    frame = volume_fit.weeks(habits)
    assert frame["week"].between(1, 12).all()
    assert set(frame["sent"]) <= {0, 1, 2, 3}
    fit = volume_fit.volume(habits)
    assert fit.refusal == ""
    held_to_the_champion(volume_fit.volume, habits, fit, "skill")
    registry = Registered(fit.files)
    histories = {("t", name): (GIVEN,) for name in names}
    given = volume_fit.suggested(Days(tmp_path), registry, facts=Facts(histories, {}), nows=NOWS)
    keen = given["recipient_id"] < "p070"
    assert given.loc[keen, "score"].mean() > 2 * given.loc[~keen, "score"].mean()
    lately = frame[frame["week"] <= volume_fit.JUDGED_WEEKS]["sent"].sum() / volume_fit.JUDGED_WEEKS
    assert 0 < given["score"].sum() <= lately


class Registered:
    """A registry with one champion."""

    def __init__(self, files):
        self._files = files

    def version(self, alias):
        assert alias == "champion"
        return Version("volume", "1", "run", {})

    def files(self, version):
        assert version.version == "1"
        return self._files


@pytest.mark.parametrize(("champion", "refused"), [(None, False), (0.5, False), (0.5009, False), (0.502, True)])
def test_a_fit_may_tell_hardly_less_than_the_champion(champion, refused):
    assert bool(habit_fit.behind(0.5, champion, "nats")) == refused


def test_too_few_weeks_are_said_with_what_is_needed(tmp_path):
    events = [event("r", "notification_sent", age, channel="push", decision_id=f"d{age}") for age in (40, 60)]
    habits = gathered(tmp_path, [*events, event("r", "login", 1)], r=(GIVEN,))
    with pytest.raises(TooFewWeeks, match="not enough data: 2 weeks with a message"):
        volume_fit.volume(habits)

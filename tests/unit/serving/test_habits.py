"""What decisions make of a recipient's own hours and answers, and what of nobody's."""

from datetime import timedelta

import numpy as np
import pytest

from domain.consent import ConsentStatus
from domain.gates import screen
from domain.stages import Asked, channel_stage
from domain.stages import Settings as PolicySettings
from domain.values import Channel, Purpose
from feature_repo import habit_columns as columns
from models.channel_value.score import Rates
from models.channel_value.spec import CHANNELS
from models.send_time import packed
from models.send_time.spec import HOURS_OF_WEEK
from serving import habits
from serving.expectations import expected
from serving.fitted import Fitted
from serving.scoring import Scored, ToScore
from tests.builders import NOON, a_consent, a_request, a_situation, all_consents

EMAIL, PUSH = Channel.EMAIL, Channel.PUSH
FITTED = Fitted(
    rates=Rates(np.full(len(CHANNELS), 0.1), np.full(len(CHANNELS), 10.0), (True,) * len(CHANNELS)),
    versions={"send_time": "3", "channel_value": "2"},
)


def a_row(*hours, of_opens=(), email=(0.0, 0.0), days=0.0):
    """One recipient's row as it is read: activity at some hours of the week, e-mails answered and sent."""
    counts = {name: np.zeros(HOURS_OF_WEEK) for name in (columns.HOURS, columns.HOURS_OF_OPENS)}
    np.add.at(counts[columns.HOURS], list(hours), 1.0)
    np.add.at(counts[columns.HOURS_OF_OPENS], list(of_opens), 1.0)
    row = dict.fromkeys(columns.columns(), 0.0) | {name: packed.to_text(each) for name, each in counts.items()}
    told = dict(zip((columns.answered(EMAIL), columns.sent(EMAIL)), email, strict=True))
    return row | told | {columns.AS_OF: NOON - timedelta(days=days)}


def read(row, situation=None):
    asked = ToScore("r", situation or a_situation(), screen(a_request(), situation or a_situation()))
    return habits.of({name: [value] for name, value in row.items()}, [asked])[0]


def believed(habit, situation=None):
    situation = situation or a_situation()
    scored = Scored({EMAIL: 0.02, PUSH: 0.02}, None, habit=habit)
    screened = screen(a_request(), situation)
    return expected([situation], [screened], [scored], send_cost=0.01, fitted=FITTED)[0]


def no_opens():
    refused = a_consent(ConsentStatus.WITHDRAWN, purpose=Purpose.OPEN_TRACKING)
    return a_situation(allowances={"consents": (*all_consents(), refused)})


def test_who_always_comes_at_20_is_expected_then_and_it_is_personal():
    evening = [day * 24 + 20 for day in range(7)] * 4
    told, nobody = believed(read(a_row(*evening))), believed(None)
    assert told.activity.source == "recipient"
    assert told.activity.log_rates[20] > nobody.activity.log_rates[20]
    assert nobody.activity == FITTED.population
    assert told.models == {"send_time": "3", "channel_value": "2"}


def test_answers_on_a_channel_move_its_chance_and_the_draw_of_the_channel():
    told, nobody = believed(read(a_row(email=(8.0, 10.0)))), believed(None)
    assert told.channels[EMAIL].p_open == pytest.approx((8 + 10 * 0.1) / 20)
    assert told.channels[PUSH].p_open == nobody.channels[PUSH].p_open == pytest.approx(0.1)
    assert drawn(told) > drawn(nobody)


def drawn(told):
    """Return with which chance e-mail is drawn."""
    settings = PolicySettings(epsilon=0.1, temperature=0.02, send_cost=0.02, weights={"visit": 0.05})
    asked = Asked("d", a_request(), a_situation(), told, is_holdout=False, settings=settings)
    stage = channel_stage(asked, (EMAIL, PUSH))
    chances = {each.channel: chance for each, chance in zip(stage.options, stage.probabilities, strict=True)}
    return chances[EMAIL]


def test_only_habits_make_it_personal_where_no_model_spoke_to_conversions():
    def personal(habit):
        situation = a_situation()
        told = [Scored(None, "rules", habit=habit)]
        return expected([situation], [screen(a_request(), situation)], told, send_cost=0.01)[0].is_personal

    assert not personal(None)
    assert not personal(read(a_row()))
    assert personal(read(a_row(20)))
    assert personal(read(a_row(email=(0.0, 2.0))))


def test_what_stands_on_opens_is_left_out_where_they_may_not_be_used():
    row = a_row(20, of_opens=[21], email=(3.0, 4.0))
    free, barred = read(row), read(row, no_opens())
    assert (free.hours[21], barred.hours[21], barred.hours[20]) == (1.0, 0.0, 1.0)
    assert (free.sent.sum(), barred.sent.sum()) == (4.0, 0.0)


def test_counts_fade_until_they_are_read():
    old = read(a_row(20, email=(2.0, 4.0), days=28))
    assert old.hours[20] == pytest.approx(0.5)
    assert old.sent.sum() == pytest.approx(4 * 2 ** (-28 / 60))


@pytest.mark.parametrize("harm", [{columns.HOURS: "no hours"}, {columns.AS_OF: None}])
def test_a_row_that_is_none_or_cannot_be_read_is_nobodys(harm):
    assert read(a_row(20) | harm) is None


def test_a_registry_older_than_habits_reads_none():
    assert habits.of({"engagement_as_of": [NOON]}, [object()]) == [None]

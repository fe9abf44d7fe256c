"""Which messages may train a model, until when an answer counts, and where training and test divide."""

import json
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from assets.steps import fitting
from assets.steps.training_rows import labels, may_learn, window_ends
from domain.consent import ConsentStatus
from domain.values import Purpose
from models.engagement.spec import NotEnoughData
from tests.builders import a_consent
from tests.feature_events import US

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)


def sends(*moments: datetime, **more: object) -> pd.DataFrame:
    given = {
        "tenant": "t1",
        "recipient_id": "r1",
        "campaign_id": "c1",
        "decision_id": None,
        "message_type": "news",
        "channel": "email",
        "properties": "{}",
    }
    frame = pd.DataFrame([given | more | {"decided_at": at} for at in moments])
    return frame.astype({"decided_at": US})


def consent(status: ConsentStatus, at: datetime, **more: object):
    return a_consent(status, purpose=Purpose.PERSONALIZATION, effective_at=at, **more)


GIVEN = consent(ConsentStatus.GIVEN, NOON)


@pytest.mark.parametrize(
    ("history", "allowed"),
    [
        pytest.param([], [False] * 4, id="never asked"),
        pytest.param([GIVEN], [False, True, True, True], id="given at noon"),
        pytest.param(
            [GIVEN, consent(ConsentStatus.WITHDRAWN, NOON + HOUR)], [False, True, True, False], id="withdrawn"
        ),
        pytest.param(
            [consent(ConsentStatus.GIVEN, NOON, expires_at=NOON + HOUR)], [False, True, True, False], id="expired"
        ),
        pytest.param([consent(ConsentStatus.GIVEN, NOON, channel="sms")], [False] * 4, id="another channel"),
        pytest.param([a_consent(effective_at=NOON)], [False] * 4, id="another purpose"),
    ],
)
def test_a_message_may_be_learned_from_when_that_was_allowed_at_its_moment(history, allowed):
    asked = sends(NOON - TICK, NOON, NOON + HOUR - TICK, NOON + HOUR)
    assert list(may_learn(asked, {("t1", "r1"): history})) == allowed


def test_one_recipients_consent_is_not_anothers():
    assert list(may_learn(sends(NOON), {("t1", "r2"): [GIVEN], ("t2", "r1"): [GIVEN]})) == [False]


@pytest.mark.parametrize(
    ("properties", "windows", "end"),
    [
        pytest.param(
            {"attribution_ends_at": "2026-03-05T00:00:00+02:00"}, {}, datetime(2026, 3, 4, 22, tzinfo=UTC), id="own"
        ),
        pytest.param({}, {("t1", "news"): 3 * HOUR}, NOON + 3 * HOUR, id="the type's"),
        pytest.param({}, {("t2", "news"): 3 * HOUR}, NOON + 24 * HOUR, id="the channel's"),
        pytest.param({"attribution_ends_at": "2026-03-05T00:00:00"}, {}, NOON + 24 * HOUR, id="own without offset"),
        pytest.param({"attribution_ends_at": "soon"}, {}, NOON + 24 * HOUR, id="own that is no moment"),
        pytest.param({"attribution_ends_at": 7}, {}, NOON + 24 * HOUR, id="own that is no text"),
    ],
)
def test_an_answer_counts_until_the_campaigns_end_else_the_types_else_the_channels(properties, windows, end):
    asked = sends(NOON, properties=json.dumps(properties))
    assert list(window_ends(asked, windows)) == [pd.Timestamp(end)]


def test_a_push_is_answered_within_two_hours():
    assert list(window_ends(sends(NOON, channel="push"), {})) == [pd.Timestamp(NOON + 2 * HOUR)]


def test_each_tenants_answers_are_known_up_to_its_own_clock():
    asked = pd.concat([sends(NOON), sends(NOON, tenant="t2")], ignore_index=True)
    asked["window_ends_at"] = asked["decided_at"] + HOUR
    conversions = pd.DataFrame(
        [("t1", "r1", "c1", None, NOON + HOUR), ("t2", "r1", "c1", None, NOON + HOUR)],
        columns=["tenant", "recipient_id", "campaign_id", "decision_id", "occurred_at"],
    ).astype({"occurred_at": US})
    found = labels(asked, conversions, cuts={"t1": NOON + HOUR, "t2": NOON + HOUR - TICK}).set_index("tenant")
    assert (found.loc["t1", "label"], found.loc["t1", "is_closed"]) == (1, True)
    assert (found.loc["t2", "label"], found.loc["t2", "is_closed"]) == (0, False)


def rows(*counts: tuple[int, bool]) -> pd.DataFrame:
    moments = [(NOON + day * 24 * HOUR, final) for day, (count, final) in enumerate(counts) for _ in range(count)]
    return pd.DataFrame(moments, columns=["decided_at", "is_closed"]).astype({"decided_at": US})


def test_about_the_latest_quarter_of_the_final_rows_is_judged():
    assert fitting.default_cut(rows((30, True), (30, True), (24, True), (24, True))) == NOON + 72 * HOUR
    assert fitting.default_cut(rows((30, True), (30, True), (20, True), (5, True))) == NOON + 48 * HOUR
    assert fitting.default_cut(rows((75, True), (25, True), (900, False))) == NOON + 24 * HOUR


def test_without_final_rows_there_is_nothing_to_divide():
    with pytest.raises(NotEnoughData):
        fitting.default_cut(rows((5, False)))

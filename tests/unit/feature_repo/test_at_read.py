"""Reading features for a decision: ages from its moment, missing where too old, unknown or absent, never zero."""

import math
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from feature_repo.engagement import at_read as module
from feature_repo.engagement import catalog, transform
from feature_repo.engagement.at_read import FRESH_FOR, STALE_FOR, Freshness, at_read, freshness
from feature_repo.engagement.catalog import View
from tests.feature_events import AS_OF, a_purchase, a_send, events, moments

NOW = AS_OF + timedelta(hours=10)
TICK = timedelta(microseconds=1)
VOCABULARIES = {"message_type": ("digest", "offer"), "channel": ("email", "push"), "category": ("a", "b")}


def decisions(n=1, **more):
    row = {"decided_at": NOW, "message_type": "offer", "channel": "email", "local_hour_of_week": 34}
    return {name: [value] * n for name, value in (row | {"local_date": NOW.date()} | more).items()}


def stored(**more):
    row = {feature.name: None for feature in catalog.stored()}
    return {
        name: [value] for name, value in (row | {"engagement_as_of": AS_OF, "delivery_as_of": AS_OF} | more).items()
    }


def read(name, *, row=None, decision=None):
    answer = at_read(row or stored(), decision or decisions(), features=[name], vocabularies=VOCABULARIES)
    assert answer.matrix.dtype == np.float32
    return answer.matrix[0, 0].item()


@pytest.mark.parametrize(
    ("age", "verdict"),
    [
        (timedelta(), Freshness.FRESH),
        (FRESH_FOR, Freshness.FRESH),
        (FRESH_FOR + TICK, Freshness.STALE),
        (STALE_FOR, Freshness.STALE),
        (STALE_FOR + TICK, Freshness.MISSING),
        (timedelta(seconds=-60), Freshness.FRESH),
        (timedelta(seconds=-60) - TICK, Freshness.MISSING),
    ],
)
def test_a_row_is_fresh_then_stale_then_missing(age, verdict):
    assert freshness(NOW - age, NOW) is verdict
    row = stored(engagement_as_of=NOW - age, purchase_count_30d=4)
    answer = at_read(row, decisions(), features=["purchase_count_30d"], vocabularies={})
    assert answer.freshness == {View.ENGAGEMENT: (verdict,)}
    assert math.isnan(answer.matrix[0, 0]) == (verdict is Freshness.MISSING)


def test_no_row_is_missing():
    assert freshness(None, NOW) is Freshness.MISSING
    nobody = {name: [None] for name in stored()}
    answer = at_read(nobody, decisions(), features=["purchase_count_30d", "sent_count_30d"], vocabularies={})
    assert np.isnan(answer.matrix).all()
    assert set(answer.freshness.values()) == {(Freshness.MISSING,)}


def test_one_view_may_be_missing_while_the_other_is_fresh():
    row = stored(delivery_as_of=NOW - STALE_FOR - TICK, purchase_count_30d=4, sent_count_30d=2)
    answer = at_read(row, decisions(), features=["purchase_count_30d", "sent_count_30d"], vocabularies={})
    assert answer.matrix[0, 0] == 4
    assert math.isnan(answer.matrix[0, 1])


def test_a_missing_value_is_never_zero():
    for name in ("purchase_value_mean_cents_90d", "open_rate_90d", "last_purchase_age_hours", "category_top_code"):
        assert math.isnan(read(name)), name
    assert read("purchase_count_30d", row=stored(purchase_count_30d=0)) == 0


@pytest.mark.parametrize(
    "value",
    [
        AS_OF - timedelta(hours=2),
        pd.Timestamp(AS_OF - timedelta(hours=2)),
        (AS_OF - timedelta(hours=2)).timestamp(),
        int((AS_OF - timedelta(hours=2)).timestamp()),
    ],
    ids=["datetime", "pandas", "float", "int"],
)
def test_ages_are_hours_from_the_decision_however_the_moment_comes(value):
    assert read("last_purchase_age_hours", row=stored(last_purchase_at=value)) == 12.0


def test_an_event_after_the_decision_has_no_negative_age():
    assert read("last_purchase_age_hours", row=stored(last_purchase_at=NOW + timedelta(seconds=5))) == 0.0


def test_a_moment_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="last_purchase_at: a moment needs a zone"):
        read("last_purchase_age_hours", row=stored(last_purchase_at=datetime(2026, 3, 1)))  # noqa: DTZ001
    with pytest.raises(ValueError, match="decided_at: expected a moment"):
        read("decision_is_weekend", decision=decisions(decided_at="yesterday"))


@pytest.mark.parametrize(
    ("value", "code"), [("digest", 0.0), ("offer", 1.0), ("never seen", math.nan), (None, math.nan)]
)
def test_a_type_is_its_place_in_the_vocabulary_and_unknown_ones_are_missing(value, code):
    assert read("message_type_code", decision=decisions(message_type=value)) == pytest.approx(code, nan_ok=True)


def test_the_decision_s_channel_picks_its_own_values():
    row = stored(sent_count_push_30d=3, sent_count_email_30d=1, open_rate_push_90d=0.5)
    nothing = (math.nan, math.nan)
    for channel, wanted in {"push": (3.0, 0.5), "email": (1.0, math.nan), None: nothing, "fax": nothing}.items():
        found = [
            read(name, row=row, decision=decisions(channel=channel))
            for name in ("channel_sent_count_30d", "channel_open_rate_90d")
        ]
        assert found == pytest.approx(wanted, nan_ok=True)


def test_context_comes_from_the_recipient_s_local_time():
    sunday_six_in_the_morning = decisions(local_hour_of_week=6 * 24 + 6, local_date=date(2026, 1, 1))
    assert read("decision_is_weekend", decision=sunday_six_in_the_morning) == 1.0
    assert read("decision_day_cos", decision=sunday_six_in_the_morning) == pytest.approx(0.0, abs=1e-6)
    assert read("decision_day_sin", decision=sunday_six_in_the_morning) == pytest.approx(1.0)
    assert read("season_cos", decision=sunday_six_in_the_morning) == pytest.approx(1.0)
    unknown = decisions(local_hour_of_week=None, local_date=None)
    for name in ("decision_is_weekend", "decision_day_cos", "season_sin"):
        assert math.isnan(read(name, decision=unknown))


def test_the_hour_matches_a_recipient_who_is_always_active_then():
    row = stored(activity_day_cos_90d=0.0, activity_day_sin_90d=1.0)
    matches = [read("hour_match_90d", row=row, decision=decisions(local_hour_of_week=hour)) for hour in (6, 18, 0)]
    assert matches == pytest.approx([1.0, -1.0, 0.0], abs=1e-6)


def test_a_name_or_column_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="luck is not in the catalog"):
        read("luck")
    with pytest.raises(ValueError, match="stored: column purchase_count_30d is needed"):
        read("purchase_count_30d", row={"engagement_as_of": [AS_OF]})
    with pytest.raises(ValueError, match="decisions: column channel is needed"):
        read("channel_code", decision={"decided_at": [NOW]})
    with pytest.raises(ValueError, match="last_purchase_at is not a number"):
        read("last_purchase_at")


def test_a_frame_and_the_same_rows_one_by_one_give_the_same_bits():
    names = [f.name for f in catalog.catalog() if f.dtype.value in {"int64", "float64"}]
    log = events(
        a_purchase(AS_OF - timedelta(days=3), category="a", properties={"coupon_discount_minor": 9}),
        a_send(AS_OF - timedelta(hours=5)),
        a_send(AS_OF - timedelta(days=9), channel="push", recipient_id="r2"),
    )
    table = transform.from_events(log, moments([("r1", AS_OF), ("r2", AS_OF), ("r3", AS_OF)]))
    asked = pd.DataFrame(decisions(3))
    asked["decided_at"] = pd.to_datetime(asked["decided_at"], utc=True)
    together = at_read(table, asked, features=names, vocabularies=VOCABULARIES).matrix
    for n in range(3):
        online = {name: [_as_a_store_gives(table[name].iloc[n])] for name in table.columns}
        alone = at_read(online, decisions(), features=names, vocabularies=VOCABULARIES).matrix
        np.testing.assert_array_equal(alone[0], together[n])


def _as_a_store_gives(value):
    if value is pd.NaT or value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return value.to_pydatetime().astimezone(UTC) if isinstance(value, pd.Timestamp) else value


def test_reading_for_decisions_needs_no_query_engine():
    names = set(vars(module))
    assert not names & {"duckdb", "ibis", "transform"}

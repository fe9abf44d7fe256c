"""What features say: missing is missing, rates are fractions, money is minor units, habits are local."""

import math
from datetime import timedelta

import pandas as pd
import pytest

from domain.events import EventType
from feature_repo.engagement import transform
from tests.feature_events import AS_OF, a_purchase, a_send, an_event, events, features, moments

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def test_without_events_counts_are_zero_and_everything_else_is_missing():
    row = features()
    for name, value in row.items():
        if "_count_" in name or ("_cents_" in name and not ("mean" in name or "max" in name)):
            assert value == 0, name
        elif name not in {"tenant", "recipient_id", "as_of", "engagement_as_of", "delivery_as_of"}:
            assert pd.isna(value), name


def test_spend_is_summed_in_minor_units_refunds_included():
    row = features(a_purchase(AS_OF - HOUR, 1_050), a_purchase(AS_OF - 2 * DAY, -50), a_purchase(AS_OF - 40 * DAY, 7))
    spent = [row[f"purchase_value_cents_{days}d"] for days in (1, 7, 30, 90)]
    assert spent == [1_050, 1_000, 1_000, 1_007]
    assert row["purchase_value_mean_cents_90d"] == pytest.approx(1_007 / 3)
    assert row["purchase_value_max_cents_90d"] == 1_050


def test_a_purchase_without_a_value_counts_and_adds_nothing():
    row = features(a_purchase(AS_OF - HOUR, value_minor=None))
    assert (row["purchase_count_1d"], row["purchase_value_cents_1d"]) == (1, 0)
    assert math.isnan(row["purchase_value_mean_cents_90d"])


def test_coupons_are_read_from_the_purchase_s_properties():
    row = features(
        a_purchase(AS_OF - HOUR, properties={"coupon_discount_minor": 75}),
        a_purchase(AS_OF - DAY, properties={"coupon_discount_minor": 0}),
        a_purchase(AS_OF - 2 * DAY, properties={"coupon_discount_minor": "lots"}),
        a_purchase(AS_OF - 3 * DAY),
    )
    assert row["purchase_with_coupon_count_7d"] == 1
    assert row["purchase_coupon_value_cents_30d"] == 75
    assert row["purchase_with_coupon_rate_30d"] == 0.25
    assert row["last_purchase_with_coupon_at"] == pd.Timestamp(AS_OF - HOUR)


def test_spacing_is_the_mean_time_between_purchases_and_needs_two():
    assert math.isnan(features(a_purchase(AS_OF - DAY))["purchase_interval_mean_hours_90d"])
    row = features(*(a_purchase(AS_OF - DAY * days) for days in (1, 2, 5)))
    assert row["purchase_interval_mean_hours_90d"] == 48.0


def test_habits_follow_the_local_hour_of_week():
    saturday_six, monday_noon = 5 * 24 + 18, 12
    row = features(
        a_purchase(AS_OF - DAY, local_hour_of_week=saturday_six),
        a_purchase(AS_OF - 2 * DAY, local_hour_of_week=monday_noon),
    )
    assert row["activity_weekend_rate_90d"] == 0.5
    assert row["activity_evening_rate_90d"] == 0.5
    assert row["activity_afternoon_rate_90d"] == 0.5
    assert row["activity_day_cos_90d"] == pytest.approx((math.cos(math.pi) + math.cos(1.5 * math.pi)) / 2)
    assert row["activity_day_sin_90d"] == pytest.approx((math.sin(math.pi) + math.sin(1.5 * math.pi)) / 2)


def test_every_hour_belongs_to_one_part_of_the_day():
    wanted = ["night"] * 6 + ["morning"] * 6 + ["afternoon"] * 5 + ["evening"] * 5 + ["night"] * 2
    rows = [a_purchase(AS_OF - HOUR, local_hour_of_week=24 + hour, recipient_id=f"{hour:02}") for hour in range(24)]
    table = transform.from_events(events(*rows), moments((f"{hour:02}", AS_OF) for hour in range(24)))
    shares = table[[f"activity_{part}_rate_90d" for part in ("night", "morning", "afternoon", "evening")]]
    assert (shares.sum(axis=1) == 1.0).all()
    assert [name.split("_")[1] for name in shares.idxmax(axis=1)] == wanted


def test_active_days_are_local_days():
    same_day = (AS_OF - DAY).date()
    row = features(
        a_purchase(AS_OF - 30 * HOUR, local_date=same_day),
        an_event(EventType.LOGIN, AS_OF - 20 * HOUR, local_date=same_day),
    )
    assert (row["activity_count_7d"], row["active_days_count_7d"]) == (2, 1)


def test_answers_to_our_messages_are_no_activity():
    row = features(an_event(EventType.OPENED, AS_OF - HOUR, channel="email"))
    assert row["activity_count_90d"] == 0
    assert row["opened_count_1d"] == 1


def test_categories_are_ranked_with_ties_by_name_and_events_without_one_left_out():
    row = features(
        *(a_purchase(AS_OF - HOUR * n, category=name) for n, name in enumerate(["b", "a", "b", "a"], start=1)),
        a_purchase(AS_OF - DAY),
    )
    assert (row["category_top_90d"], row["category_top_rate_90d"], row["category_count_90d"]) == ("a", 0.5, 2)
    assert row["category_entropy_90d"] == pytest.approx(math.log(2))
    assert features(a_purchase(AS_OF - HOUR, category="a"))["category_entropy_90d"] == 0.0


def test_a_rate_is_the_share_of_messages_that_were_answered():
    row = features(
        a_send(AS_OF - 5 * DAY, campaign_id="c1"),
        a_send(AS_OF - 4 * DAY, campaign_id="c2", channel="push"),
        *(an_event(EventType.CONVERTED, AS_OF - DAY, campaign_id="c1") for _ in range(3)),
    )
    assert row["conversion_rate_30d"] == 0.5
    assert (row["conversion_rate_email_90d"], row["conversion_rate_push_90d"]) == (1.0, 0.0)
    assert math.isnan(row["conversion_rate_sms_90d"])
    assert (row["converted_count_30d"], row["sent_converted_count_30d"]) == (3, 1)


def test_an_answer_with_a_decision_id_belongs_to_that_message_alone():
    row = features(
        a_send(AS_OF - 5 * DAY, campaign_id="c1", decision_id="d1", channel="push"),
        a_send(AS_OF - 4 * DAY, campaign_id="c1", decision_id="d2"),
        an_event(EventType.CLICKED, AS_OF - DAY, campaign_id="c1", decision_id="d2", channel="email"),
    )
    assert (row["click_rate_push_90d"], row["click_rate_email_90d"]) == (0.0, 1.0)


def test_events_without_campaign_and_decision_answer_nothing():
    row = features(
        a_send(AS_OF - 5 * DAY, campaign_id=None),
        an_event(EventType.OPENED, AS_OF - DAY, channel="email"),
    )
    assert (row["open_rate_90d"], row["opened_count_90d"]) == (0.0, 1)


def test_sends_are_counted_per_channel():
    row = features(a_send(AS_OF - HOUR, channel="sms"), a_send(AS_OF - 10 * DAY, channel="sms"), a_send(AS_OF - HOUR))
    assert [row[f"sent_count_{c}_{w}d"] for c in ("sms", "email", "voice") for w in (7, 30)] == [1, 2, 1, 1, 0, 0]
    assert row["sent_count_1d"] == 2


@pytest.mark.parametrize("decision", [None, "d1"])
def test_an_answer_is_known_from_its_own_moment_on_even_when_both_moments_are_asked_at_once(decision):
    log = events(
        a_send(AS_OF - 5 * DAY, decision_id=decision),
        an_event(EventType.CLICKED, AS_OF - DAY, campaign_id="c1", decision_id=decision, channel="email"),
    )
    table = transform.from_events(log, moments([("r1", AS_OF - DAY), ("r1", AS_OF)]))
    assert table["click_rate_30d"].tolist() == [0.0, 1.0]

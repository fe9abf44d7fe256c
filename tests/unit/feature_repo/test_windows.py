"""Windows are half-open: the moment itself is out, the far end is in, a microsecond decides."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from domain.events import EventType
from feature_repo.engagement import catalog, transform
from feature_repo.engagement.expressions import MOST_CENTS
from tests.feature_events import AS_OF, a_purchase, a_send, an_event, events, features, moments

TICK = timedelta(microseconds=1)


@pytest.mark.parametrize("days", catalog.WINDOWS_DAYS)
def test_a_window_begins_exactly_its_length_before_the_moment(days):
    start = AS_OF - timedelta(days=days)
    name = f"purchase_count_{days}d"
    assert features(a_purchase(start - TICK))[name] == 0
    assert features(a_purchase(start))[name] == 1
    assert features(a_purchase(start + TICK))[name] == 1


def test_a_window_ends_just_before_the_moment():
    assert features(a_purchase(AS_OF - TICK))["purchase_count_1d"] == 1
    assert features(a_purchase(AS_OF))["purchase_count_1d"] == 0
    assert features(a_purchase(AS_OF + TICK))["purchase_count_1d"] == 0


def test_a_window_has_its_length_in_hours_whatever_clocks_did_meanwhile():
    after_spring_forward = datetime(2026, 3, 9, 4, tzinfo=UTC)  # New York lost an hour on 8 March
    start = after_spring_forward - timedelta(hours=168)
    assert features(a_purchase(start), at=after_spring_forward)["purchase_count_7d"] == 1
    assert features(a_purchase(start - TICK), at=after_spring_forward)["purchase_count_7d"] == 0


def test_a_moment_with_microseconds_is_not_rounded_in_the_window():
    at = AS_OF + timedelta(microseconds=5)
    assert features(a_purchase(AS_OF + timedelta(microseconds=4)), at=at)["purchase_count_1d"] == 1
    assert features(a_purchase(AS_OF + timedelta(microseconds=5)), at=at)["purchase_count_1d"] == 0


def test_moments_of_last_events_are_kept_in_whole_seconds_as_the_online_store_does():
    row = features(a_purchase(AS_OF - timedelta(seconds=90, microseconds=-1)))
    assert row["last_purchase_at"] == pd.Timestamp(AS_OF - timedelta(seconds=90))
    assert row["engagement_as_of"] == row["delivery_as_of"] == pd.Timestamp(AS_OF)


def test_each_type_is_counted_under_its_own_name():
    rows = events(*(an_event(kind, AS_OF - TICK, channel="email", recipient_id=kind.value) for kind in EventType))
    table = transform.from_events(rows, moments((kind.value, AS_OF) for kind in EventType))
    for kind, row in zip(sorted(EventType), (table.iloc[n] for n in range(len(table))), strict=True):
        word = "sent" if kind is EventType.NOTIFICATION_SENT else kind.value
        counted = {name for name in row.index if name.endswith("_count_90d") and row[name] == 1}
        own = {f"{word}_count_90d"} & set(row.index)
        organic = {"activity_count_90d", "active_days_count_90d"} if kind in catalog.ORGANIC else set()
        assert counted == own | organic, kind


def test_recipients_tenants_and_moments_do_not_mix():
    rows = events(a_purchase(AS_OF - TICK), a_purchase(AS_OF - TICK, recipient_id="r2"))
    other = events(a_purchase(AS_OF - TICK, tenant="t2"))
    earlier = AS_OF - timedelta(days=1)
    asked = pd.concat([moments([("r1", AS_OF), ("r1", earlier), ("r3", AS_OF)]), moments(tenant="t2")])
    table = transform.from_events(pd.concat([rows, other]), asked)
    found = table.set_index(["tenant", "recipient_id", "as_of"])["purchase_count_90d"]
    assert found.to_dict() == {
        ("t1", "r1", pd.Timestamp(earlier)): 0,
        ("t1", "r1", pd.Timestamp(AS_OF)): 1,
        ("t1", "r3", pd.Timestamp(AS_OF)): 0,
        ("t2", "r1", pd.Timestamp(AS_OF)): 1,
    }


def test_the_table_has_the_catalog_s_columns_and_types_and_one_row_per_moment():
    table = transform.from_events(events(), moments([("b", AS_OF), ("a", AS_OF)]))
    assert tuple(table.columns) == catalog.columns()
    assert table["recipient_id"].tolist() == ["a", "b"]
    wanted = {"int64": "int64", "float64": "float64", "string": "object", "timestamp[us, UTC]": "datetime64[us, UTC]"}
    assert {f.name: str(table[f.name].dtype) for f in catalog.stored()} == {
        f.name: wanted[f.dtype.value] for f in catalog.stored()
    }


def test_a_missing_column_is_named():
    with pytest.raises(ValueError, match="events: missing columns category, properties"):
        transform.from_events(events().drop(columns=["properties", "category"]), moments())
    with pytest.raises(ValueError, match="moments: missing columns as_of"):
        transform.from_events(events(), moments().drop(columns="as_of"))


def test_a_column_of_another_type_is_refused():
    wrong = events(a_purchase(AS_OF - TICK)).assign(local_hour_of_week="Monday")
    with pytest.raises(ValueError, match=r"events: a column has not the expected type.*local_hour_of_week"):
        transform.from_events(wrong, moments())


def test_a_moment_asked_for_twice_is_refused():
    with pytest.raises(ValueError, match="only once"):
        transform.from_events(events(), moments([("r1", AS_OF), ("r1", AS_OF)]))


def test_files_frames_and_tables_give_the_same_rows(tmp_path):
    rows = events(
        a_purchase(AS_OF - TICK, category="GROCERY", properties={"coupon_discount_minor": 50}),
        a_send(AS_OF - timedelta(days=3)),
    )
    path = tmp_path / "part.parquet"
    rows.to_parquet(path)
    from_frame = transform.from_events(rows, moments())
    from_file = transform.from_events(transform.ParquetFiles((str(path),)), moments())
    pd.testing.assert_frame_equal(from_frame, from_file)
    assert from_frame["purchase_with_coupon_count_90d"].tolist() == [1]


def test_the_computation_has_a_name_that_stays():
    assert transform.version() == transform.version()
    assert len(transform.version()) == 16


def test_the_largest_amounts_there_are_do_not_keep_a_recipient_from_their_features():
    largest = 2**63 - 1
    refund = a_purchase(AS_OF - timedelta(hours=1), cents=-largest - 1)
    row = features(*(a_purchase(AS_OF - timedelta(hours=n), cents=largest) for n in (1, 2, 3)), refund)
    assert row["purchase_value_cents_7d"] == 2 * MOST_CENTS
    assert row["purchase_count_7d"] == 4

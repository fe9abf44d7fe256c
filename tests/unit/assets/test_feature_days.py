"""Days of features: who has a row, when a row may be known, and what stops a day from being made."""

from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from adapters.lake import Lake
from assets.steps import event_days, feature_days
from assets.steps.feature_days import DaysMissing, Earlier, compute_days, moments, stamped
from domain.events import EventType
from tests.feature_events import US, a_purchase, an_event, events

DAY = timedelta(days=1)
NOW = datetime(2026, 3, 3, 9, tzinfo=UTC)
MONDAY = date(2026, 3, 2)
END = datetime(2026, 3, 3, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake(tmp_path / "lake")


def keep(lake: Lake, *rows, days: int = 3) -> list[date]:
    frame = events(*rows)
    kept = [MONDAY - n * DAY for n in range(days)]
    for day in kept:
        lake.write(event_days.TABLE, event_days.table_of(frame[frame["occurred_at"].dt.date == day]), day=day)
    return kept


def compute(lake: Lake, *days: date, with_events=(), nows=None):
    asked = list(days) or [MONDAY]
    return compute_days(lake, asked, event_days=with_events, nows=nows or {"t1": NOW}, report=lambda _: None)


def table(lake: Lake, day: date = MONDAY) -> pd.DataFrame:
    return lake.read(feature_days.TABLE, day=day).to_pandas()


def seen(*rows) -> pd.DataFrame:
    known = pd.DataFrame(rows, columns=["tenant", "recipient_id", "first_at", "deleted_at"])
    return known.astype({"first_at": US, "deleted_at": US})


def test_a_recipient_has_a_row_once_seen_until_deleted_and_never_ahead_of_the_tenants_clock():
    known = seen(
        ("t1", "before", END - DAY, None),
        ("t1", "at_the_end", END, None),
        ("t1", "deleted", END - 9 * DAY, END - DAY),
        ("t1", "deleted_later", END - 9 * DAY, END),
        ("t2", "of_a_tenant_that_is_not_there_yet", END - 9 * DAY, None),
        ("t3", "of_nobody", END - 9 * DAY, None),
    )
    asked = moments(known, MONDAY, {"t1": END, "t2": END - timedelta(microseconds=1)})
    assert list(asked["recipient_id"]) == ["before", "deleted_later"]
    assert set(asked["as_of"]) == {pd.Timestamp(END)}


def test_a_day_has_the_features_as_of_its_end(lake):
    keep(lake, a_purchase(END - timedelta(microseconds=1)), a_purchase(END - 2 * DAY))
    compute(lake)
    [row] = table(lake).itertuples()
    assert (row.purchase_count_1d, row.purchase_count_7d) == (1, 2)
    assert row.created_at == row.as_of == pd.Timestamp(END)


def test_a_deleted_recipient_is_not_in_the_table(lake):
    keep(
        lake,
        a_purchase(END - DAY, recipient_id="gone"),
        an_event(EventType.RECIPIENT_DELETED, END - DAY / 2, recipient_id="gone"),
        a_purchase(END - DAY),
    )
    compute(lake)
    assert list(table(lake)["recipient_id"]) == ["r1"]


def test_a_day_without_anybody_is_an_empty_table_with_every_column(lake):
    keep(lake)
    compute(lake)
    assert lake.read(feature_days.TABLE, day=MONDAY).schema == feature_days.schema()
    assert lake.rows(feature_days.TABLE, day=MONDAY) == 0


def test_computing_again_leaves_the_same_bytes(lake):
    keep(lake, a_purchase(END - DAY))
    assert compute(lake)[MONDAY].digest == compute(lake)[MONDAY].digest


def test_many_days_at_once_are_the_same_as_one_by_one(lake, tmp_path):
    rows = [a_purchase(END - n * DAY / 3, recipient_id=f"r{n % 4}") for n in range(1, 60)]
    days = sorted(keep(lake, *rows, days=20))
    together = {day: one.digest for day, one in compute(lake, *days).items()}
    other = Lake(tmp_path / "other")
    keep(other, *rows, days=20)
    assert together == {day: compute(other, day)[day].digest for day in days}


def test_a_day_with_events_that_is_not_in_the_lake_stops_the_computation(lake):
    keep(lake, a_purchase(END - DAY))
    missing = MONDAY - 5 * DAY
    with pytest.raises(DaysMissing, match=f"--from {missing} --to {missing}"):
        compute(lake, with_events=[missing, MONDAY])
    compute(lake, with_events=[MONDAY - timedelta(days=91), MONDAY + DAY])
    assert lake.days(feature_days.TABLE) == (MONDAY,)


def row(recipient: str = "r1", purchases: int = 1) -> pd.DataFrame:
    made = feature_days.schema().empty_table().drop_columns(["created_at"]).to_pandas()
    made.loc[0, ["tenant", "recipient_id"]] = ["t1", recipient]
    made["as_of"] = pd.Series([END], dtype=US)
    return made.assign(purchase_count_7d=purchases)


def earlier(purchases: int, *, served: bool, transform: str = "v1") -> Earlier:
    rows = row(purchases=purchases).assign(created_at=pd.Series([END], dtype=US))
    return Earlier(rows, transform, frozenset({"t1"} if served else ()))


@pytest.mark.parametrize(
    ("before", "known_since"),
    [
        pytest.param(None, END, id="first computed"),
        pytest.param(earlier(1, served=True), END, id="unchanged"),
        pytest.param(earlier(2, served=True), NOW, id="late data changed a row that was served"),
        pytest.param(earlier(2, served=False), END, id="history nobody was served"),
        pytest.param(earlier(2, served=True, transform="v0"), END, id="another transform"),
    ],
)
def test_a_correction_is_not_known_before_it_is_made(before, known_since):
    made = stamped(row(purchases=1), before, version="v1", nows={"t1": NOW})
    assert made["created_at"].iloc[0] == pd.Timestamp(known_since)


def test_late_data_of_a_served_day_is_stamped_with_the_tenants_clock(lake):
    keep(lake, a_purchase(END - DAY))
    compute(lake)
    keep(lake, a_purchase(END - DAY), a_purchase(END - DAY / 2))
    compute(lake, nows={"t1": NOW + timedelta(hours=1)})
    assert table(lake)["created_at"].iloc[0] == pd.Timestamp(NOW + timedelta(hours=1))


def test_late_data_of_old_history_is_known_since_then(lake):
    long_after = {"t1": NOW + 30 * DAY}
    keep(lake, a_purchase(END - DAY))
    compute(lake, nows=long_after)
    keep(lake, a_purchase(END - DAY), a_purchase(END - DAY / 2))
    compute(lake, nows=long_after)
    assert table(lake)["created_at"].iloc[0] == pd.Timestamp(END)

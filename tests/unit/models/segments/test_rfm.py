"""Every recipient is in exactly one segment; equal behaviour gives equal scores; small tenants get none."""

import json
from datetime import UTC, datetime, timedelta
from itertools import product

import numpy as np
import pandas as pd
import pytest

from models.segments import rfm
from models.segments.rfm import Segment, membership

AS_OF = datetime(2026, 3, 2, tzinfo=UTC)
US = pd.DatetimeTZDtype("us", "UTC")


def rows(n=100, **more):
    frame = pd.DataFrame(
        {
            "tenant": "t1",
            "recipient_id": [f"r{who:04}" for who in range(n)],
            "as_of": AS_OF,
            "last_purchase_at": [AS_OF - timedelta(hours=1 + who) for who in range(n)],
            "purchase_count_90d": [n - who for who in range(n)],
            "purchase_value_cents_90d": [100 * (n - who) for who in range(n)],
        }
        | more
    )
    return frame.astype({"as_of": US, "last_purchase_at": US})


def test_the_best_are_champions_and_the_worst_hibernate():
    table = membership(rows())
    assert table["segment"].iloc[0] == Segment.CHAMPIONS
    assert table["score"].iloc[0] == 1.0
    assert table["segment"].iloc[-1] == Segment.HIBERNATING
    assert table["score"].iloc[-1] == pytest.approx(0.2)
    for name in ("recency_score", "frequency_score", "monetary_score"):
        assert table[name].value_counts().to_dict() == dict.fromkeys(range(1, 6), 20)


def test_equal_values_have_equal_scores_whatever_the_order_of_the_rows():
    tied = rows(purchase_count_90d=[1] * 70 + [2] * 30)
    table = membership(tied)
    assert table.groupby(tied["purchase_count_90d"])["frequency_score"].nunique().tolist() == [1, 1]
    shuffled = tied.sample(frac=1.0, random_state=3)
    pd.testing.assert_frame_equal(membership(shuffled), table)


def test_all_alike_are_treated_alike():
    same = rows(last_purchase_at=AS_OF - timedelta(days=1), purchase_count_90d=3, purchase_value_cents_90d=500)
    assert len(set(membership(same)["segment"])) == 1


def test_without_a_purchase_a_recipient_is_inactive_and_has_no_scores():
    quiet = rows()
    quiet.loc[5, ["last_purchase_at", "purchase_count_90d", "purchase_value_cents_90d"]] = [pd.NaT, 0, 0]
    found = membership(quiet).iloc[5]
    assert found["segment"] == Segment.INACTIVE
    assert found[["recency_score", "frequency_score", "monetary_score", "score"]].isna().all()


@pytest.mark.parametrize(("buyers", "divided"), [(rfm.MIN_BUYERS - 1, False), (rfm.MIN_BUYERS, True)])
def test_a_small_tenant_is_told_so(buyers, divided):
    table = membership(rows(buyers))
    assert (table["segment"] != Segment.NOT_ENOUGH_DATA).all() == divided
    assert table["thresholds"].notna().all() == divided
    assert table["score"].notna().all() == divided


def test_tenants_are_divided_on_their_own():
    rich = rows(tenant="t2", purchase_value_cents_90d=[10**6 + n for n in range(100)])
    small = rows(10, tenant="t0")
    table = membership(pd.concat([rich, rows(), small]))
    alone = membership(rows())
    mine = table[table["tenant"] == "t1"].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, alone)
    assert set(table.loc[table["tenant"] == "t0", "segment"]) == {Segment.NOT_ENOUGH_DATA}


def test_thresholds_are_recorded_and_reproduce_the_scores():
    source = rows()
    table = membership(source)
    edges = json.loads(table["thresholds"].iloc[0])
    counts = source["purchase_count_90d"].to_numpy()
    again = 1 + np.searchsorted(edges["frequency_count_90d"], counts)
    assert again.tolist() == table["frequency_score"].tolist()
    assert set(edges) == {"frequency_count_90d", "monetary_cents_90d", "recency_hours"}


def test_every_combination_of_scores_has_exactly_one_segment_and_every_segment_a_meaning():
    combinations = np.array(list(product(range(1, 6), repeat=3)))
    named = rfm._named(*combinations.T)
    scored = set(Segment) - {Segment.INACTIVE, Segment.NOT_ENOUGH_DATA}
    assert set(named) == {segment.value for segment in scored}
    assert all(segment.meaning.endswith(".") for segment in Segment)


def test_nobody_in_nobody_out():
    assert membership(rows(0)).empty


def test_wrong_rows_are_refused():
    with pytest.raises(ValueError, match="missing columns last_purchase_at"):
        membership(rows().drop(columns="last_purchase_at"))
    with pytest.raises(ValueError, match="one row per recipient"):
        membership(pd.concat([rows(), rows()]))

"""Which messages count as answered, and which rows may train or test a model."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from models.engagement import dataset, spec

SENT = datetime(2026, 3, 2, 5, tzinfo=UTC)
END = SENT + timedelta(days=7)
TICK = timedelta(microseconds=1)
US = pd.DatetimeTZDtype("us", "UTC")


def sends(*rows):
    fresh = {
        "tenant": "t1",
        "recipient_id": "r1",
        "campaign_id": "c1",
        "decision_id": None,
        "message_type": "offer",
        "channel": "email",
        "decided_at": SENT,
        "window_ends_at": END,
    }
    frame = pd.DataFrame([fresh | row for row in rows or ({},)], columns=list(fresh))
    return frame.astype({"decided_at": US, "window_ends_at": US})


def conversions(*rows):
    fresh = {
        "tenant": "t1",
        "recipient_id": "r1",
        "campaign_id": "c1",
        "decision_id": None,
        "occurred_at": SENT + timedelta(days=1),
    }
    return pd.DataFrame([fresh | row for row in rows], columns=list(fresh)).astype({"occurred_at": US})


def labels(sent, converted, cut=END):
    return dataset.label(sent, converted, cut=cut)["label"].tolist()


@pytest.mark.parametrize(("at", "label"), [(SENT, 0), (SENT + TICK, 1), (END, 1), (END + TICK, 0)])
def test_a_conversion_counts_after_the_message_and_up_to_the_window_s_end(at, label):
    assert labels(sends(), conversions({"occurred_at": at}), cut=END + timedelta(days=1)) == [label]


@pytest.mark.parametrize("other", [{"tenant": "t2"}, {"recipient_id": "r2"}, {"campaign_id": "c2"}])
def test_a_conversion_of_somebody_or_something_else_does_not_count(other):
    assert labels(sends(), conversions(other)) == [0]


def test_several_conversions_label_one_row_once():
    frame = dataset.label(sends(), conversions({}, {}), cut=END)
    assert frame["label"].tolist() == [1]
    assert frame["label"].dtype == np.int8


def test_a_conversion_with_a_decision_id_answers_that_message_only():
    two = sends({"decision_id": "d1"}, {"decision_id": "d2"})
    assert labels(two, conversions({"decision_id": "d2"})) == [0, 1]
    assert labels(two, conversions({"decision_id": "d2", "campaign_id": None})) == [0, 1]
    assert labels(two, conversions({})) == [1, 1]


def test_conversions_need_not_know_decision_ids():
    assert labels(sends(), conversions({}).drop(columns="decision_id")) == [1]


def test_a_row_counts_only_when_its_window_has_closed():
    assert len(dataset.label(sends(), conversions({}), cut=END - TICK)) == 0
    kept = dataset.label(sends(), conversions({}), cut=END - TICK, keep_open=True)
    assert kept[["label", "is_closed"]].to_numpy().tolist() == [[1, False]]
    assert dataset.label(sends(), conversions({}), cut=END)["is_closed"].tolist() == [True]


def test_what_happened_after_the_cut_is_not_known():
    late = conversions({"occurred_at": SENT + timedelta(days=3)})
    cut = SENT + timedelta(days=2)
    assert dataset.label(sends(), late, cut=cut, keep_open=True)["label"].tolist() == [0]
    assert len(dataset.label(sends({"decided_at": cut}), late, cut=cut, keep_open=True)) == 0


def test_a_message_nobody_could_name_is_left_out():
    assert len(dataset.label(sends({"campaign_id": None}), conversions(), cut=END)) == 0


def test_a_missing_column_is_named():
    with pytest.raises(ValueError, match="sends: missing columns window_ends_at"):
        dataset.label(sends().drop(columns="window_ends_at"), conversions(), cut=END)


def test_a_split_in_time_shares_nothing():
    day = timedelta(days=1)
    rows = sends(
        {"recipient_id": "closes before", "window_ends_at": SENT + day},
        {"recipient_id": "closes at", "decided_at": SENT + day, "window_ends_at": SENT + 2 * day},
        {"recipient_id": "spans", "decided_at": SENT + day, "window_ends_at": SENT + 2 * day + TICK},
        {"recipient_id": "starts at", "decided_at": SENT + 2 * day, "window_ends_at": SENT + 3 * day},
    )
    split = dataset.time_split(rows, at=SENT + 2 * day)
    assert split.train["recipient_id"].tolist() == ["closes before", "closes at"]
    assert split.test["recipient_id"].tolist() == ["starts at"]
    assert split.dropped == 1


def test_codes_follow_the_training_rate_and_ties_the_name():
    rows = pd.DataFrame(
        {
            "message_type": ["low"] * 4 + ["high"] * 4 + ["b", "a", None],
            "channel": "email",
            "category_top_90d": ["x", "a", None] + [None] * 8,
            "label": [0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0],
        }
    )
    assert dataset.vocabularies(rows) == {
        "message_type": ("low", "a", "b", "high"),
        "channel": ("email",),
        "category": ("a", "x"),
    }


def test_base_rates_are_shrunk_to_the_overall_rate_and_never_certain():
    rates = dataset.base_rates(["a"] * 90 + ["b"] * 10, np.array([0] * 90 + [1] * 10, dtype=np.int8))
    assert rates == {"*": 0.1, "a": 0.01, "b": 0.55}


def test_a_matrix_of_another_shape_is_refused():
    rows = dataset.label(sends(), conversions(), cut=END)
    with pytest.raises(ValueError, match=rf"matrix: expected \(1, {len(spec.FEATURES)}\), got \(1, 2\)"):
        dataset.dataset(rows, np.zeros((1, 2), dtype=np.float32), vocabularies={})


def test_equal_rows_have_equal_digests_and_any_change_shows():
    rows = dataset.label(sends({}, {"recipient_id": "r2", "message_type": None}), conversions({}), cut=END)
    matrix = np.zeros((2, len(spec.FEATURES)), dtype=np.float32)
    made = dataset.dataset(rows, matrix, vocabularies={"channel": ["email"]})
    assert made.digest() == dataset.dataset(rows, matrix.copy(), vocabularies={}).digest()
    assert made.message_type.tolist() == ["offer", ""]
    other = matrix.copy()
    other[1, 3] = 1
    assert made.digest() != dataset.dataset(rows, other, vocabularies={}).digest()
    assert made.digest() != made.take(np.array([1, 0])).digest()

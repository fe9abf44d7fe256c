"""A tenant that is new: nothing to learn from is said in a sentence, not met as a fault further on."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from assets.steps import training_rows
from assets.steps.training_rows import Facts
from domain.consent import ConsentState
from domain.events import EventType
from models.engagement.spec import NotEnoughData
from tests.builders import RULES

AT = pd.Timestamp("2026-03-02T12:00:00Z").as_unit("us")


class CheckedLake:
    """A lake whose days are all checked."""

    def require_checked(self, table: str) -> None:
        assert table


@pytest.mark.parametrize("sent", [0, 3])
def test_without_a_message_that_may_be_learned_from_the_reason_is_told(monkeypatch, sent):
    def events(_lake, kind, names, _nows):
        rows = [dict.fromkeys(names, "x") | {"channel": "email", "occurred_at": AT, "properties": "{}"}] * sent
        frame = pd.DataFrame(rows if kind is EventType.NOTIFICATION_SENT else [], columns=list(names))
        return frame.astype({"occurred_at": "datetime64[us, UTC]"})

    monkeypatch.setattr(training_rows, "_events", events)
    monkeypatch.setattr(training_rows, "_cuts", lambda _lake, nows: nows)
    with pytest.raises(NotEnoughData, match=f"of {sent} sent: 0, at least"):
        training_rows.training_rows(
            CheckedLake(),
            None,
            facts=Facts(histories={}, windows={}),
            nows={"x": datetime(2026, 3, 3, tzinfo=UTC)},
            report=lambda _: None,
        )


def a_frame(*messages):
    """One row per (recipient, hours from ``AT``), by e-mail."""
    rows = [
        {"tenant": "t", "recipient_id": who, "channel": "email", "decided_at": AT + pd.Timedelta(hours, unit="h")}
        for who, hours in messages
    ]
    return pd.DataFrame(rows)


def said(purpose, status, hours=0, **fields):
    moment = (AT + pd.Timedelta(hours, unit="h")).to_pydatetime()
    return ConsentState(purpose=purpose, channel="*", status=status, effective_at=moment, **fields)


def test_analytics_refused_by_the_moment_of_the_message_ends_learning_and_silence_does_not():
    histories = {
        ("t", "left"): (said("analytics", "given", -9), said("analytics", "withdrawn")),
        ("t", "other"): (said("marketing", "withdrawn", -9),),
        ("t", "ended"): (said("analytics", "given", -9, expires_at=AT.to_pydatetime()),),
    }
    rows = a_frame(("left", -1), ("left", 0), ("other", 0), ("silent", 0), ("ended", -1), ("ended", 0))
    assert list(training_rows.refused_analytics(rows, histories)) == [False, True, False, False, False, True]


@pytest.mark.parametrize(("country", "of_silence"), [("US", True), ("FR", False), (None, False)])
def test_opens_may_be_used_by_the_law_of_the_place_and_what_was_said_by_then(country, of_silence):
    place = frozenset({country}) if country else None
    facts = Facts(
        histories={
            ("t", "agreed"): (said("open_tracking", "given", -9), said("open_tracking", "withdrawn")),
            ("t", "abroad"): (),
        },
        windows={},
        countries={("t", "abroad"): frozenset({"US"})},
        home={"t": place},
        rules=RULES,
    )
    rows = a_frame(("agreed", -1), ("agreed", 0), ("silent", 0), ("abroad", 0))
    assert list(training_rows.may_use_opens(rows, facts)) == [True, False, of_silence, True]


def test_what_is_made_from_opens_is_missing_where_it_is_withheld_and_nothing_else_is():
    rows = pd.DataFrame({"opened_count_7d": [3, 4], "last_opened_at": [AT, AT], "login_count_30d": [5, 6]})
    left = training_rows.without_opens(rows, pd.Series([True, False]))
    assert [left[name].isna().tolist() for name in rows] == [[True, False], [True, False], [False, False]]
    assert left["opened_count_7d"][1] == 4

"""A tenant that is new: nothing to learn from is said in a sentence, not met as a fault further on."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from assets.steps import training_rows
from assets.steps.training_rows import Facts
from domain.events import EventType
from models.engagement.spec import NotEnoughData

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

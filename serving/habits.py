"""What is known online of a recipient's hours and channels: read with the features, decayed to now.

What stands on opens counts only where opens may be used. A row that cannot be read is none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import numpy as np
import structlog

from domain.gates import Situation, may_use_opens
from domain.values import Channel
from feature_repo import habit_columns as columns
from models.channel_value.spec import CHANNELS
from models.channel_value.spec import HALF_LIFE_DAYS as CHANNEL_HALF_LIFE
from models.send_time import packed
from models.send_time.spec import HALF_LIFE_DAYS, HOURS_OF_WEEK, Floats

log = structlog.get_logger("kairos.habits")
_COLUMNS = frozenset(columns.columns())
_SECONDS_A_DAY = 86_400


class Asked(Protocol):
    """Whose habits are asked for."""

    @property
    def situation(self) -> Situation:
        """Says what may be used, and when it is."""


@dataclass(frozen=True)
class Habit:
    """One recipient's decayed counts, as of now.

    Attributes:
        as_of: the moment the row described.
        hours: hours with activity by hour of the week, shape (168,).
        answered: messages that were, by channel in ``CHANNELS``, shape (C,).
        sent: all of them, shape (C,).
    """

    as_of: datetime
    hours: Floats
    answered: Floats
    sent: Floats


def without(read: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    """Return what was read besides habits."""
    return {name: values for name, values in read.items() if name not in _COLUMNS}


def of(read: Mapping[str, Sequence[Any]], asked: Sequence[Asked]) -> list[Habit | None]:
    """Return each recipient's habit, None where nothing is known or may be used."""
    if any(name not in read for name in _COLUMNS):
        # The registry of the bundle is older than habits.
        return [None] * len(asked)
    return [_habit({name: read[name][place] for name in _COLUMNS}, each.situation) for place, each in enumerate(asked)]


def as_of(habit: Habit | None) -> dict[str, str | None]:
    """Return the moment of a row by its name, nothing without one."""
    return {columns.AS_OF: habit.as_of.isoformat()} if habit is not None else {}


def _habit(row: Mapping[str, Any], situation: Situation) -> Habit | None:
    moment = row[columns.AS_OF]
    if moment is None:
        return None
    days = max(0.0, (situation.now - moment).total_seconds() / _SECONDS_A_DAY)
    opens = may_use_opens(situation)
    names = (columns.HOURS, columns.HOURS_OF_OPENS) if opens else (columns.HOURS,)
    hours = np.zeros(HOURS_OF_WEEK)
    try:
        for name in names:
            hours += packed.from_text(row[name] or "")
    except ValueError as error:
        log.warning("habits.unreadable_row", problem=str(error))
        return None
    answered, sent = (_counts(row, make, days) if opens else np.zeros(len(CHANNELS)) for make in _COUNTS)
    return Habit(moment, hours * 2.0 ** (-days / HALF_LIFE_DAYS), np.minimum(answered, sent), sent)


_COUNTS = (columns.answered, columns.sent)


def _counts(row: Mapping[str, Any], make: Any, days: float) -> Floats:
    """Return counts by channel, decayed by so many days more; what is missing or below 0 is none."""
    given = np.array([row[make(Channel(name))] or 0.0 for name in CHANNELS], dtype=np.float64)
    return np.asarray(np.maximum(given, 0.0) * 2.0 ** (-days / CHANNEL_HALF_LIFE))

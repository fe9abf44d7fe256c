"""Failures that trying again cannot mend: they end the step at once, with one sentence and no trace."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from adapters.lake import NoSuchTable, Quarantined
from models.engagement.spec import NotEnoughData
from models.lifetime_value.summary import NotEnoughData as TooFewCustomers
from models.send_time.train import NotEnoughData as TooFewHabits
from models.volume.train import NotEnoughData as TooFewWeeks


class Refusal(Exception):
    """Something that has to be done or mended first; the message says what."""


@contextmanager
def final() -> Iterator[None]:
    """Turn a failure that trying again cannot mend into one that is not tried again.

    Raises:
        Failure: with the refusal's own sentence.
    """
    try:
        yield
    except (Refusal, Quarantined, NoSuchTable, NotEnoughData, TooFewCustomers, TooFewHabits, TooFewWeeks) as error:
        raise dg.Failure(str(error), allow_retries=False) from error

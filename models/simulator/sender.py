"""The sender of a population that a service decides about: its message type, whom it asks about and when."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from domain.message_types import MessageType
from models.simulator.events import MESSAGE_TYPE
from models.simulator.rhythms import Integers
from models.simulator.scenarios import CHANNELS
from models.simulator.state import DayState, Sends

LIVE_CHANNELS = ("push", "email")
"""Channels of the message; the others of the population are not used."""
WINDOW_HOURS = 48
FIRST_HOUR, LAST_HOUR = 8, 21
"""Decisions are asked for from 8:00 to before 21:00, when quiet hours begin."""


def message_type(shown: Sequence[int]) -> MessageType:
    """Return the message with the variants that are shown."""
    text = {
        "push": {"subject": "News {n}", "body": "Something new, worded in way {n}."},
        "email": {
            "subject": "News {n}",
            "body": "<p>Something new, worded in way {n}.</p>"
            "<p>{{{{ postal_address }}}} <a href='{{{{ unsubscribe_url }}}}'>Unsubscribe</a></p>",
        },
    }
    variants = [
        {
            "id": f"v{number}",
            "content": {
                channel: {part: words.format(n=number) for part, words in parts.items()}
                for channel, parts in text.items()
            },
        }
        for number in shown
    ]
    return MessageType.model_validate(
        {
            "type": MESSAGE_TYPE,
            "class": "marketing",
            "category": "simulation",
            "postal_address": "Nobody, 1 Nowhere Street",
            "channels": LIVE_CHANNELS,
            "attribution_window_hours": WINDOW_HOURS,
            "variants": variants,
        }
    )


def question(recipient_id: str) -> dict[str, Any]:
    """Return the request for a decision about one person's message of the day."""
    return {"recipient_id": recipient_id, "message": {"type": MESSAGE_TYPE}}


def hours(state: DayState) -> Integers:
    """Return the hour of the day at which each person is asked about, shape (n,): by chance, whatever was decided."""
    return state.dice.integers(FIRST_HOUR, LAST_HOUR, state.people)


def sends(answers: Sequence[Mapping[str, Any]]) -> Sends:
    """Return the messages that were decided to go out now; what is put off or not sent is no message.

    Args:
        answers: for each decision ``person``, ``outcome``, ``channel``, ``variant_id``, ``hour``, ``probability``.
    """
    out = [each for each in answers if each["outcome"] == "send_now"]
    return Sends(
        np.array([each["person"] for each in out], dtype=np.int64),
        np.array([CHANNELS.index(each["channel"]) for each in out], dtype=np.int64),
        np.array([int(each["variant_id"][1:]) for each in out], dtype=np.int64),
        np.array([each["hour"] for each in out], dtype=np.float64),
        np.array([each["probability"] for each in out], dtype=np.float64),
    )

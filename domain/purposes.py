"""What each purpose means here: what is done, with which data; for the person and for whoever assesses the impact."""

from typing import Literal

from domain.values import Frozen, Purpose

DataCategory = Literal["contact_hashes", "profile", "preferences", "behaviour", "delivery", "opens", "location"]


class PurposeFacts(Frozen):
    """One purpose."""

    purpose: Purpose
    meaning: str
    categories: tuple[DataCategory, ...]
    without_consent: str
    """What happens to somebody who did not agree."""


FACTS: dict[Purpose, PurposeFacts] = {
    each.purpose: each
    for each in (
        PurposeFacts(
            purpose=Purpose.MARKETING,
            meaning="Messages that advertise are decided on and sent.",
            categories=("contact_hashes", "preferences", "delivery"),
            without_consent="Every marketing message is refused.",
        ),
        PurposeFacts(
            purpose=Purpose.PERSONALIZATION,
            meaning="A model scores the person's behaviour to choose whether, where and with which words to write.",
            categories=("profile", "behaviour", "delivery"),
            without_consent="Rules decide without features; the messages teach no model.",
        ),
        PurposeFacts(
            purpose=Purpose.ANALYTICS,
            meaning="What came of messages is measured and learned from across people.",
            categories=("behaviour", "delivery"),
            without_consent="After a refusal the person's messages are in no training set.",
        ),
        PurposeFacts(
            purpose=Purpose.OPEN_TRACKING,
            meaning="Whether the person opened an e-mail is measured and used.",
            categories=("opens",),
            without_consent="No tracking pixel may be added, and opens enter no score and no training row.",
        ),
        PurposeFacts(
            purpose=Purpose.LOCATION,
            meaning="Where the person is now is used to choose a message.",
            categories=("location",),
            without_consent="Only the country of the profile is used, for law and quiet hours.",
        ),
    )
}

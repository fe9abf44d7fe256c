"""Profiles of two ids that turn out to be one person: the id that stays is believed, the other fills the gaps."""

from typing import Any

from domain.profiles import MAX_ATTRIBUTES, Profile, Reachability


def merged(ours: Profile, theirs: Profile) -> Profile:
    """Return what is known of one person after two ids of theirs were merged.

    A fact of ``ours`` stays, one that only ``theirs`` has is added; a channel that either cannot be reached on cannot.
    Attributes beyond the most there may be are left out, the last by name.
    """
    known: dict[str, Any] = {}
    for name in Profile.model_fields:
        own, other = getattr(ours, name), getattr(theirs, name)
        known[name] = own if own not in (None, (), {}) else other
    said = (ours.channels, theirs.channels)
    known["channels"] = {
        channel: Reachability(reachable=all(each[channel].reachable for each in said if channel in each))
        for channel in sorted(ours.channels.keys() | theirs.channels.keys())
    }
    added = sorted(theirs.attributes.keys() - ours.attributes.keys())[: MAX_ATTRIBUTES - len(ours.attributes)]
    known["attributes"] = ours.attributes | {name: theirs.attributes[name] for name in added}
    return Profile(**known)

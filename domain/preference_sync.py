"""Edits of one preference field from several devices, offline or not, late and in any order: what holds in the end.

Every edit says what its device had seen (a version vector), so it is known which edits were made knowing which. What
holds is a function of the *set* of edits that arrived: order and repetition do not matter. An edit is superseded by
any later one that knew of it, with one exception: a denial only by a denial or by a fresh act of the recipient. Of
edits that knew nothing of each other a denial wins; among the others the last one does, so the clock of a device can
decide between two values but never bring back what was denied.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

Vector = Mapping[str, int]
"""How many edits of each device are meant: all up to this number, counted from 1."""


class Edit(NamedTuple):
    """One edit of one field.

    Args:
        device: whose edit it is; the server, a person at the help desk and an import are devices too.
        number: the device's own count of its edits of this field, from 1.
        seen: for each device how many of its edits this one was made knowing; a device always knows its own.
        denies: whether it forbids; ``value`` is then what was said.
        is_act: whether the recipient did it just then, rather than an import, a default or an operator.
        at: what the device's clock said, microseconds since 1970.
        value: the field's new value, in canonical text.
    """

    device: str
    number: int
    seen: tuple[tuple[str, int], ...]
    denies: bool
    is_act: bool
    at: int
    value: str


class Field(NamedTuple):
    """Everything that is known of a field: the edits that count, and which others are superseded.

    ``by_acts`` holds what denials and acts of the recipient knew of: they supersede all of it. ``by_others`` holds
    what the rest knew of: it supersedes no denial.
    """

    by_acts: tuple[tuple[str, int], ...] = ()
    by_others: tuple[tuple[str, int], ...] = ()
    edits: frozenset[Edit] = frozenset()


NOTHING = Field()
CONTRADICTION = Edit("", 0, (), denies=True, is_act=False, at=0, value="")


def with_edits(field: Field, edits: Iterable[Edit]) -> Field:
    """Return the field after more edits; the same for every order and grouping, and when some were known before."""
    by_acts, by_others, found = dict(field.by_acts), dict(field.by_others), set(field.edits)
    for edit in edits:
        known = by_acts if edit.denies or edit.is_act else by_others
        for device, number in edit.seen:
            _raise(known, device, number)
        _raise(known, edit.device, edit.number - 1)
        found.add(edit)
    return _settled(by_acts, by_others, found)


def merged(one: Field, other: Field) -> Field:
    """Return what two copies of a field know together."""
    by_acts, by_others = dict(one.by_acts), dict(one.by_others)
    for known, more in ((by_acts, other.by_acts), (by_others, other.by_others)):
        for device, number in more:
            _raise(known, device, number)
    return _settled(by_acts, by_others, one.edits | other.edits)


def seen(field: Field) -> tuple[tuple[str, int], ...]:
    """Return what a device that has this copy knows of: the ``seen`` of its next edit."""
    known = dict(field.by_acts)
    for device, number in field.by_others:
        _raise(known, device, number)
    for edit in field.edits:
        _raise(known, edit.device, edit.number)
    return tuple(sorted(known.items()))


def standing(field: Field) -> Edit | None:
    """Return the edit that holds: a denial if one is left, of several the last said.

    None when nobody ever said anything. Edits that claim to have known of each other supersede each other all; then
    a denial holds, ``CONTRADICTION``, until an act of the recipient that knew of them.
    """
    if not field.edits:
        return None if field == NOTHING else CONTRADICTION
    return max(field.edits, key=_rank)


def _rank(edit: Edit) -> tuple[bool, int, str, int, str, bool, tuple[tuple[str, int], ...]]:
    # Everything an edit holds, so that two that differ in anything are ranked the same way everywhere.
    return (edit.denies, edit.at, edit.device, edit.number, edit.value, edit.is_act, edit.seen)


def _settled(by_acts: dict[str, int], by_others: dict[str, int], edits: Iterable[Edit]) -> Field:
    left = frozenset(
        edit
        for edit in edits
        if edit.number > by_acts.get(edit.device, 0) and (edit.denies or edit.number > by_others.get(edit.device, 0))
    )
    return Field(tuple(sorted(by_acts.items())), tuple(sorted(by_others.items())), left)


def _raise(known: dict[str, int], device: str, number: int) -> None:
    if number > known.get(device, 0):
        known[device] = number

"""Preferences of other systems as ours: Knock's preference sets, Novu's subscriber preferences, rows of a table.

A denial is never lost: what cannot be mapped exactly is reported, and denied where it may have been a denial. An allow
is only proposed; whether it counts is decided against what is stored.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from domain.events import Identifier, Name
from domain.preference_scopes import Scope
from domain.preferences import Preference, PreferenceValue
from domain.values import ANY_CHANNEL, Channel


class Unreadable(ValueError):
    """A row says nothing that can be understood; the text names the field and what was expected."""


class Imported(NamedTuple):
    """What one row asks for.

    Args:
        recipient_id: whose row it is.
        preferences: at most one for a scope; where a row says two things of a scope the denial is here.
        withdraws_marketing: whether everything commercial was refused.
        notes: what could not be mapped exactly, and what was done instead.
    """

    recipient_id: str
    preferences: tuple[Preference, ...]
    withdraws_marketing: bool
    notes: tuple[str, ...]


_CHANNELS: Mapping[str, Channel] = {
    "email": Channel.EMAIL,
    "sms": Channel.SMS,
    "push": Channel.PUSH,
    "in_app": Channel.IN_APP,
    "inApp": Channel.IN_APP,
    "in_app_feed": Channel.IN_APP,
    "web": Channel.WEB,
    "voice": Channel.VOICE,
}
_NEVER_SENT = frozenset({"chat", "http", "webhook"})
"""Channels of others on which nothing is ever sent from here, so a denial needs no place."""
_TRUE, _FALSE = frozenset({"true", "1", "yes", "on"}), frozenset({"false", "0", "no", "off"})
_ID: TypeAdapter[str] = TypeAdapter(Identifier)
_NAME: TypeAdapter[str] = TypeAdapter(Name)


class _Row:
    """One row while it is read."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._values: dict[str, tuple[Scope, PreferenceValue]] = {}
        self.withdraws_marketing = False
        self.notes: list[str] = []

    def say(self, scope: Scope, value: PreferenceValue) -> None:
        """Note a value; of two for one scope the one that denies, else the first."""
        present = self._values.get(scope.id)
        if present is None or (value.is_denial and not present[1].is_denial):
            self._values[scope.id] = scope, value

    def allow(self, scope: Scope, *, is_allowed: bool) -> None:
        """Note a yes or no."""
        self.say(scope, PreferenceValue(enabled=is_allowed))

    def result(self, recipient_id: str) -> Imported:
        """Return what was noted."""
        source = f"import:{self._source}"
        found = [Preference(scope=scope, value=value, source=source) for scope, value in self._values.values()]
        return Imported(recipient_id, tuple(found), self.withdraws_marketing, tuple(self.notes))


def knock(row: Any, channels: Mapping[str, Channel]) -> Imported:
    """Map a recipient's Knock preference set.

    Args:
        row: ``{"recipient_id" | "user_id" | "id": ..., "preferences": set}``, or the set with one of these in it.
        channels: what the ids of the account's own channels are here.

    Raises:
        Unreadable: it is no such thing.
    """
    whole = _object(row, "the row")
    recipient_id = _recipient(whole, ("recipient_id", "user_id", "id"))
    given = _object(whole.get("preferences", whole), "preferences")
    read = _Row("knock")
    if (commercial := given.get("commercial_subscribed")) is not None:
        # Only true is a subscription; a condition, say, may have been a refusal.
        read.withdraws_marketing = commercial is not True
    _knock_part(read, given, {}, "", channels)
    for field, ours in (("categories", "category"), ("workflows", "content_type")):
        for name, value in _object(given.get(field) or {}, field).items():
            named = {ours: _name(read, name, field)}
            if isinstance(value, Mapping) and value.keys() & {"channel_types", "channels"}:
                _knock_part(read, value, named, f"{field}.{name}.", channels)
            else:
                read.allow(Scope(**named), is_allowed=_yes(read, value, f"{field}.{name}"))
    return read.result(recipient_id)


def _knock_part(
    read: _Row, given: Mapping[str, Any], named: Mapping[str, Any], where: str, channels: Mapping[str, Channel]
) -> None:
    if given.get("conditions"):
        read.allow(Scope(**named), is_allowed=_yes(read, given, where + "conditions"))
    for field in ("channel_types", "channels"):
        for name, value in _object(given.get(field) or {}, where + field).items():
            place = f"{where}{field}.{name}"
            is_allowed = _yes(read, value, place)
            known = _CHANNELS.get(name) if field == "channel_types" else channels.get(name)
            _say_channel(read, known, named, place, is_allowed=is_allowed, is_never_sent=name in _NEVER_SENT)


def novu(row: Any, channels: Mapping[str, Channel]) -> Imported:
    """Map a subscriber's Novu preference: of one workflow, or without ``workflowId`` of all.

    Raises:
        Unreadable: it is no such thing.
    """
    whole = _object(row, "the row")
    recipient_id = _recipient(whole, ("subscriberId", "recipient_id"))
    read, named = _Row("novu"), {}
    if whole.get("workflowId") is not None:
        named = {"content_type": _name(read, whole["workflowId"], "workflowId")}
    if "channels" not in whole and "enabled" not in whole:
        raise Unreadable("channels must be an object of channels")
    if "enabled" in whole:
        read.allow(Scope(**named), is_allowed=_yes(read, whole["enabled"], "enabled"))
    for name, value in _object(whole.get("channels") or {}, "channels").items():
        place, known = f"channels.{name}", _CHANNELS.get(name) or channels.get(name)
        is_allowed = _yes(read, value, place)
        _say_channel(read, known, named, place, is_allowed=is_allowed, is_never_sent=name in _NEVER_SENT)
    return read.result(recipient_id)


def table(row: Any, channels: Mapping[str, Channel]) -> Imported:
    """Map a row with ``recipient_id`` and any of ``channel, category, content_type, enabled, frequency``.

    Raises:
        Unreadable: a value is not one of those there are.
    """
    whole = {name: value.strip() for name, value in row.items() if name and isinstance(value, str) and value.strip()}
    recipient_id = _recipient(whole, ("recipient_id",))
    read = _Row("csv")
    channel = whole.get("channel", ANY_CHANNEL)
    known = ANY_CHANNEL if channel == ANY_CHANNEL else _CHANNELS.get(channel) or channels.get(channel)
    if known is None:
        raise Unreadable(f"channel must be {ANY_CHANNEL} or one of {', '.join(Channel)}")
    names = {each: _name(read, whole[each], each) for each in ("category", "content_type") if each in whole}
    said: dict[str, Any] = {}
    if enabled := whole.get("enabled", "").lower():
        if enabled not in _TRUE | _FALSE:
            raise Unreadable("enabled must be true or false")
        said["enabled"] = enabled in _TRUE
    if "frequency" in whole:
        said["frequency"] = whole["frequency"].lower()
    try:
        read.say(Scope(channel=known, **names), PreferenceValue(**said))
    except ValidationError as error:
        raise Unreadable(f"enabled, frequency: {error.errors()[0]['msg']}") from None
    return read.result(recipient_id)


ReadRow = Callable[[Any, Mapping[str, Channel]], Imported]
MAPPINGS: Mapping[str, ReadRow] = {"knock": knock, "novu": novu, "csv": table}


def _say_channel(
    read: _Row,
    known: Channel | None,
    named: Mapping[str, Any],
    place: str,
    *,
    is_allowed: bool,
    is_never_sent: bool,
) -> None:
    if known is not None:
        read.allow(Scope(channel=known, **named), is_allowed=is_allowed)
    elif is_never_sent:
        read.notes.append(f"{place}: nothing is sent there from here; left out")
    elif is_allowed:
        read.notes.append(f"{place}: an unknown channel; the allow is left out")
    else:
        read.notes.append(f"{place}: an unknown channel; every channel is denied instead")
        read.allow(Scope(**named), is_allowed=False)


def _yes(read: _Row, value: Any, place: str) -> bool:
    """Return a yes or no; whatever is neither counts as no, and is reported."""
    if isinstance(value, bool):
        return value
    read.notes.append(f"{place}: no plain true or false (a condition, perhaps); denied instead")
    return False


def _name(read: _Row, given: Any, place: str) -> str:
    text = str(given)
    name = re.sub(r"[^a-z0-9_.-]", "_", text.lower())[:64]
    name = name if name[:1].isalpha() and name else f"x{name}"[:64]
    if name != text:
        read.notes.append(f"{place}.{text}: named {name} here")
    return _NAME.validate_python(name)


def _recipient(row: Mapping[str, Any], names: tuple[str, ...]) -> str:
    given = next((row[name] for name in names if name in row), None)
    try:
        return _ID.validate_python(given, strict=True)
    except ValidationError:
        raise Unreadable(f"{names[0]} must be 1 to 200 printable characters") from None


def _object(given: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise Unreadable(f"{place} must be an object")
    return given

"""A strict JSON reader: what it returns can be stored, hashed, logged and answered without a second thought.

It refuses, naming the place, everything that parsers disagree on or stores choke on: duplicate keys, numbers beyond
int64 or float64, NUL, lone surrogates, other encodings than UTF-8, deep nesting. Time is linear in the size.
"""

import json
import math
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

MAX_DEPTH: Final = 32
"""Containers inside each other."""

MAX_KEYS: Final = 256
"""Keys of one object."""

_INT64: Final = range(-(2**63), 2**63)
_INT_DIGITS: Final = 19
_NUMBER_CHARACTERS: Final = 64
"""A float64 needs 24; anything much longer is an attack on the parser or on whoever reads it next."""
_SEGMENT_CHARACTERS: Final = 64
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_BRACKETS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


class StrictJsonError(ValueError):
    """The bytes are not JSON as we read it; the message never contains the refused value."""

    def __init__(self, code: str, place: str, expected: str) -> None:
        super().__init__(f"{place or 'document'}: {expected}")
        self.code = code
        self.place = place
        self.expected = expected


class _Refused:
    """Stands in the tree for a value that was refused, until the walk finds its place."""

    __slots__ = ("code", "expected", "key")

    def __init__(self, code: str, expected: str, key: str | None = None) -> None:
        self.code = code
        self.expected = expected
        self.key = key


def loads(data: bytes, *, max_bytes: int, max_depth: int = MAX_DEPTH, max_keys: int = MAX_KEYS) -> Any:
    """Read one JSON document.

    Args:
        data: the document, UTF-8 without a byte order mark.
        max_bytes: largest size accepted.
        max_depth: most containers inside each other.
        max_keys: most keys of one object.

    Returns:
        dict, list, str, int (int64), float (finite), bool or None.

    Raises:
        StrictJsonError: with ``code``, ``place`` (a JSON pointer, or a line and column) and ``expected``.
    """
    if len(data) > max_bytes:
        raise StrictJsonError("json.too_large", "", f"at most {max_bytes} bytes")
    text = _decoded(data)
    try:
        tree = _decoder(max_keys).decode(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise StrictJsonError("json.malformed", place, "valid JSON (RFC 8259)") from None
    except RecursionError:
        raise _too_deep(f"byte {_depth_exceeded_at(data, max_depth)}", max_depth) from None
    # Escapes are the only way an unstorable character gets past the decoder, so most documents skip the search.
    _walk(tree, max_depth=max_depth, check_text="\\u" in text)
    return tree


def pointer(path: Sequence[str | int]) -> str:
    """Return a place as a JSON pointer (RFC 6901); long names are cut, they are the sender's."""
    segments = (str(part)[:_SEGMENT_CHARACTERS].replace("~", "~0").replace("/", "~1") for part in path)
    return "".join(f"/{segment}" for segment in segments)


def _decoded(data: bytes) -> str:
    if not data.strip(b" \t\r\n"):
        raise StrictJsonError("json.empty", "", "a JSON document")
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise StrictJsonError("json.encoding", "byte 0", "UTF-8 without a byte order mark")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise StrictJsonError("json.encoding", f"byte {error.start}", "UTF-8") from None


@lru_cache(maxsize=8)
def _decoder(max_keys: int) -> json.JSONDecoder:
    def collect(pairs: list[tuple[str, Any]]) -> Any:
        if len(pairs) > max_keys:
            return _Refused("json.too_many_keys", f"at most {max_keys} keys in one object")
        whole = dict(pairs)
        return whole if len(whole) == len(pairs) else _duplicate(pairs)

    return json.JSONDecoder(
        object_pairs_hook=collect, parse_int=_integer, parse_float=_float, parse_constant=_constant, strict=True
    )


def _duplicate(pairs: list[tuple[str, Any]]) -> _Refused:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            return _Refused("json.duplicate_key", "each key once", key)
        seen.add(key)
    raise AssertionError("called without a duplicate")


def _integer(digits: str) -> int | _Refused:
    # The length is checked first: converting thousands of digits takes quadratic time.
    if len(digits.lstrip("-")) <= _INT_DIGITS and (number := int(digits)) in _INT64:
        return number
    return _Refused("json.number", "an integer of at most 64 bits")


def _float(digits: str) -> float | _Refused:
    if len(digits) <= _NUMBER_CHARACTERS and math.isfinite(number := float(digits)):
        return number
    return _Refused("json.number", f"a finite number of at most {_NUMBER_CHARACTERS} characters")


def _constant(_: str) -> _Refused:
    return _Refused("json.number", "a finite number")


_Path = tuple[str | int, ...]


def _walk(tree: Any, *, max_depth: int, check_text: bool) -> None:
    """Visit every value once, without recursion, and raise for the first that was refused."""
    waiting: list[tuple[Any, _Path]] = [(tree, ())]
    while waiting:
        value, path = waiting.pop()
        kind = type(value)
        if kind is _Refused:
            raise StrictJsonError(
                value.code, pointer(path if value.key is None else (*path, value.key)), value.expected
            )
        if kind is str:
            _check_text(value, path)
        elif kind is dict or kind is list:
            if len(path) >= max_depth:
                raise _too_deep(pointer(path), max_depth)
            if kind is dict and check_text:
                _check_keys(value, path)
            _push(value.items() if kind is dict else enumerate(value), path, waiting, check_text=check_text)


_PLAIN: Final = frozenset({int, float, bool, type(None)})


def _push(children: Any, path: _Path, waiting: list[tuple[Any, _Path]], *, check_text: bool) -> None:
    for name, child in children:
        kind = type(child)
        if kind not in _PLAIN and (check_text or kind is not str):
            waiting.append((child, (*path, name)))


def _check_keys(value: dict[str, Any], path: _Path) -> None:
    for key in value:
        if _UNSTORABLE.search(key):
            raise StrictJsonError("json.text", pointer(path), "keys without NUL and without lone surrogates")


def _check_text(value: str, path: _Path) -> None:
    if _UNSTORABLE.search(value):
        raise StrictJsonError("json.text", pointer(path), "text without NUL and without lone surrogates")


def _too_deep(place: str, max_depth: int) -> StrictJsonError:
    return StrictJsonError("json.too_deep", place, f"at most {max_depth} containers inside each other")


def _depth_exceeded_at(data: bytes, max_depth: int) -> int:
    depth = 0
    for match in _BRACKETS.finditer(data):
        token = match[0]
        depth += (token in (b"[", b"{")) - (token in (b"]", b"}"))
        if depth > max_depth:
            return match.start()
    return 0

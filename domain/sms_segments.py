"""SMS segments: how many parts a text is sent in, by GSM 03.38 and 3GPP TS 23.040.

A text of the GSM alphabet has 160 septets in one part or 153 in each of several; a character of the extension table
takes two. One character outside the alphabet makes the whole text UCS-2: 70 units of UTF-16, or 67. Neither an
escaped character nor a surrogate pair is cut in two.
"""

from domain.values import Frozen

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")
_GSM_SINGLE, _GSM_PART = 160, 153
_UCS2_SINGLE, _UCS2_PART = 70, 67
_BASIC_PLANE = 0x10000


class SmsSize(Frozen):
    """What a text costs to send."""

    encoding: str
    units: int
    segments: int


def size(text: str) -> SmsSize:
    """Return the encoding of a text, its length in septets or UTF-16 units, and its parts; an empty one has one."""
    is_gsm = all(character in _BASIC or character in _EXTENDED for character in text)
    if is_gsm:
        widths = [2 if character in _EXTENDED else 1 for character in text]
        single, part = _GSM_SINGLE, _GSM_PART
    else:
        widths = [1 if ord(character) < _BASIC_PLANE else 2 for character in text]
        single, part = _UCS2_SINGLE, _UCS2_PART
    units = sum(widths)
    segments = 1 if units <= single else _parts(widths, part)
    return SmsSize(encoding="gsm7" if is_gsm else "ucs2", units=units, segments=segments)


def outside_alphabet(text: str) -> tuple[str, ...]:
    """Return the characters that keep a text from the GSM alphabet, each once, in their order."""
    return tuple(dict.fromkeys(each for each in text if each not in _BASIC and each not in _EXTENDED))


def _parts(widths: list[int], room: int) -> int:
    parts, used = 1, 0
    for width in widths:
        if used + width > room:
            parts, used = parts + 1, 0
        used += width
    return parts

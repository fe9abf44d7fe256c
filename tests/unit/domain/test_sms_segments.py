"""SMS segments by GSM 03.38: the limits at which a text takes one more part, and what makes it long."""

import pytest

from domain.sms_segments import outside_alphabet, size


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments"),
    [
        ("", "gsm7", 0, 1),
        ("a" * 160, "gsm7", 160, 1),
        ("a" * 161, "gsm7", 161, 2),
        ("a" * 306, "gsm7", 306, 2),
        ("a" * 307, "gsm7", 307, 3),
        ("€" * 80, "gsm7", 160, 1),
        ("€" * 81, "gsm7", 162, 2),
        ("a" * 152 + "€" * 77, "gsm7", 306, 3),
        ("é" * 160, "gsm7", 160, 1),
        ("ê" + "a" * 69, "ucs2", 70, 1),
        ("ê" + "a" * 70, "ucs2", 71, 2),
        ("ж" * 134, "ucs2", 134, 2),
        ("ж" * 135, "ucs2", 135, 3),
        ("😀" * 35, "ucs2", 70, 1),
        ("😀" * 36, "ucs2", 72, 2),
        ("😀" * 67, "ucs2", 134, 3),
    ],
)
def test_a_text_takes_as_many_parts_as_the_standard_says(text, encoding, units, segments):
    found = size(text)
    assert (found.encoding, found.units, found.segments) == (encoding, units, segments)


def test_what_keeps_a_text_from_the_short_alphabet_is_named_once():
    assert outside_alphabet("crêpe, forêt: 5 €") == ("ê",)

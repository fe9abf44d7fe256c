"""The strict JSON reader: what it refuses, where, and that nothing else is changed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.strict_json import StrictJsonError, loads

LIMIT = 500 * 1024


def refusal(data: bytes) -> tuple[str, str]:
    with pytest.raises(StrictJsonError) as caught:
        loads(data, max_bytes=LIMIT)
    return caught.value.code, caught.value.place


@pytest.mark.parametrize(
    ("data", "code", "place"),
    [
        (b"", "json.empty", ""),
        (b" \n", "json.empty", ""),
        (b"\xef\xbb\xbf{}", "json.encoding", "byte 0"),
        ("{}".encode("utf-16"), "json.encoding", "byte 0"),
        ("{}".encode("utf-16-le"), "json.malformed", "line 1 column 2"),
        (b'{"a":"\xff"}', "json.encoding", "byte 6"),
        (b'{"a":"\xed\xa0\x80"}', "json.encoding", "byte 6"),
        (b'{"a":[1,NaN]}', "json.number", "/a/1"),
        (b"[-Infinity]", "json.number", "/0"),
        (b'{"a":{"b":1e999}}', "json.number", "/a/b"),
        (b"[9223372036854775808]", "json.number", "/0"),
        (b"[-9223372036854775809]", "json.number", "/0"),
        (b'{"n":' + b"9" * 5_000 + b"}", "json.number", "/n"),
        (b'{"n":0.' + b"9" * 5_000 + b"}", "json.number", "/n"),
        (b'{"a":"\\u0000"}', "json.text", "/a"),
        (b'{"a":"\x00"}', "json.malformed", "line 1 column 7"),
        (b'{"a":["\\ud800"]}', "json.text", "/a/0"),
        (b'{"a":{"\\udc00":1}}', "json.text", "/a"),
        (b'{"a":{"b":1,"b":2}}', "json.duplicate_key", "/a/b"),
        (b'{"a":1,"\\u0061":2}', "json.duplicate_key", "/a"),
        (b'{"x":{"a/b~":1,"a/b~":2}}', "json.duplicate_key", "/x/a~1b~0"),
        (b"{} x", "json.malformed", "line 1 column 4"),
        (b"{}{}", "json.malformed", "line 1 column 3"),
        (b"[01]", "json.malformed", "line 1 column 3"),
        (b"{'a':1}", "json.malformed", "line 1 column 2"),
        (b"[1,]", "json.malformed", "line 1 column 4"),
        (b'{"a":\n  tru}', "json.malformed", "line 2 column 3"),
    ],
)
def test_what_parsers_disagree_on_is_refused_at_its_place(data, code, place):
    assert refusal(data) == (code, place)


def test_containers_may_be_32_deep_and_no_deeper():
    assert loads(b"[" * 32 + b"]" * 32, max_bytes=LIMIT)
    assert refusal(b"[" * 33 + b"]" * 33) == ("json.too_deep", "/0" * 32)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("closed", [True, False])
def test_a_hundred_thousand_levels_are_refused_without_recursion(opening, closed):
    closing = (b"]" if opening == b"[" else b"}") if closed else b""
    data = opening * 100_000 + b"1" + closing * 100_000
    with pytest.raises(StrictJsonError) as caught:
        loads(data, max_bytes=10 * LIMIT)
    assert (caught.value.code, caught.value.place) == ("json.too_deep", f"byte {32 * len(opening)}")


def test_brackets_inside_text_are_not_levels():
    assert loads(json.dumps(["[{" * 200]).encode(), max_bytes=LIMIT) == ["[{" * 200]


def test_an_object_may_have_256_keys_and_no_more():
    many = {str(number): number for number in range(257)}
    assert refusal(json.dumps({"a": many}).encode()) == ("json.too_many_keys", "/a")
    many.popitem()
    assert loads(json.dumps(many).encode(), max_bytes=LIMIT) == many


def test_one_byte_more_than_allowed_is_refused():
    assert loads(b'"ab"', max_bytes=4) == "ab"
    with pytest.raises(StrictJsonError, match="at most 3 bytes"):
        loads(b'"ab"', max_bytes=3)


def test_numbers_at_the_edge_of_64_bits_are_read_exactly():
    assert loads(b"[9223372036854775807,-9223372036854775808,1.7976931348623157e308]", max_bytes=LIMIT) == [
        2**63 - 1,
        -(2**63),
        1.7976931348623157e308,
    ]


def test_escaped_pairs_of_surrogates_are_one_character():
    assert loads(b'"\\ud83d\\ude00"', max_bytes=LIMIT) == "\U0001f600"


def test_a_refusal_never_repeats_the_refused_value():
    with pytest.raises(StrictJsonError) as caught:
        loads(b'{"card":' + b"4" * 30 + b"}", max_bytes=LIMIT)
    assert "444" not in str(caught.value)


STORABLE = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | STORABLE,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(STORABLE, inner, max_size=5),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_every_storable_value_is_read_as_it_was_written(value, ascii_only):
    assert loads(json.dumps(value, ensure_ascii=ascii_only).encode(), max_bytes=LIMIT) == value


@given(st.binary(max_size=200) | st.text(alphabet='{}[]":,\\u0d89e+-. tnf').map(lambda text: text.encode()))
def test_any_bytes_are_read_or_refused_and_what_is_read_can_be_stored(data):
    try:
        value = loads(data, max_bytes=LIMIT)
    except StrictJsonError:
        return
    assert "\x00" not in json.dumps(value, allow_nan=False, ensure_ascii=False).encode().decode()

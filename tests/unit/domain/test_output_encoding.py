"""Output encoding: whatever a variable holds, it stays text on its channel and never becomes markup or a header."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import one_click
from domain.content import render
from domain.values import Channel
from tests.builders import a_type

HOSTILE = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "javascript:alert(1)", "data:text/html,<b>",
    "a\r\nBcc: all@example.org", "a\u2028Bcc: x", "{{ 7 | times: 7 }}", "{% raw %}", "\x00", "&lt;b&gt;", "' onload='x",
)  # fmt: skip
ANYTHING = st.one_of(
    st.text(max_size=60), st.sampled_from(HOSTILE), st.tuples(st.sampled_from(HOSTILE), st.text()).map("".join)
)
FILLED = {"subject": "Hi {{ name }}", "body": '<p title="{{ name }}">{{ name }}</p>'}


def rendered(channel, value, content=FILLED):
    definition = a_type(
        channels=[channel],
        variables={"type": "object", "properties": {"name": {"type": "string"}}},
        variants=[{"id": "a", "content": {channel: content}}],
    )
    return render(
        definition,
        channel=channel,
        variant_id="a",
        wanted=(),
        variables={"name": value},
        unsubscribe_url="https://x/u/t",
    )


def lines(text):
    """Return a text with every line end written the one way rendering writes it."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


class Seen(HTMLParser):
    """What a browser would see of a body: its tags with the names of their attributes, and its text."""

    def __init__(self, body: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.text = ""
        self.title: str | None = None
        self.feed(body)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.title = dict(attrs).get("title")

    def handle_data(self, data):
        self.text += data


@given(ANYTHING)
def test_in_a_mail_a_variable_is_text_and_no_markup(value):
    seen = Seen(rendered(Channel.EMAIL, value).body)
    assert seen.tags == [("p", ("title",))]


@given(ANYTHING)
def test_a_subject_is_one_line_whatever_it_is_filled_with(value):
    subject = rendered(Channel.EMAIL, value).subject
    assert len(subject.splitlines()) == 1


@given(ANYTHING)
def test_headers_come_from_the_link_alone(value):
    assert rendered(Channel.EMAIL, value).headers == one_click.headers("https://x/u/t")


@given(ANYTHING)
def test_no_template_in_a_variable_is_evaluated(value):
    body = rendered(Channel.IN_APP, value, {"body": "{{ name }}"}).body
    assert body == lines(value)


@pytest.mark.parametrize("value", HOSTILE)
def test_on_other_channels_text_stays_as_it_is(value):
    assert rendered(Channel.PUSH, value, {"body": "{{ name }}"}).body == lines(value)

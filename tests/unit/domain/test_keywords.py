"""Keywords that revoke: seven words in any case, with any punctuation, with anything around them."""

import itertools

import pytest

from domain.legal.keywords import revocation
from tests.builders import RULES

WORDS = RULES.rule("tcpa.keywords").keywords
CASES = (str.lower, str.upper, str.title, str.swapcase)
MARKS = ("{}", "{}.", "{}!!", '"{}"', "...{}?", "*{}*", " {}\n", "({})")
AROUND = ("{}", "please {} now", "{} texting me", "I said {}", "hey, {} - thanks")


def test_there_are_seven():
    assert len(WORDS) == 7


@pytest.mark.parametrize("word", WORDS)
def test_however_it_is_written_it_revokes(word):
    for case, mark, around in itertools.product(CASES, MARKS, AROUND):
        text = around.format(mark.format(case(word)))
        assert revocation(text, WORDS) is not None, text


@pytest.mark.parametrize("text", ["Opt-out", "optout", "OPT_OUT", "\uff33\uff34\uff2f\uff30"])
def test_other_spellings_revoke_too(text):
    assert revocation(text, WORDS) is not None


@pytest.mark.parametrize("text", ["", "nonstop fun", "see you this weekend", "yes", "start", "opt in", "quite"])
def test_what_holds_no_keyword_revokes_nothing(text):
    assert revocation(text, WORDS) is None

"""Publication: a commercial e-mail without a postal address or a way out is no message type."""

import pytest

from domain.legal.publication import CannotPublish, check
from tests.builders import a_type

BODY = "{{ postal_address }} {{ unsubscribe_url }}"


def a_mail(body=BODY, **fields):
    content = {"email": {"body": body}}
    variants = [
        {"id": "a", "content": content, "translations": {"fr": {"email": {"body": fields.pop("french", BODY)}}}}
    ]
    return a_type(**({"channels": ["email"], "postal_address": "1 Main St", "variants": variants} | fields))


def test_one_with_both_is_published():
    check(a_mail())


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"postal_address": None}, "postal_address"),
        ({"body": "{{ postal_address }}"}, "unsubscribe_url"),
        ({"body": "{{ unsubscribe_url }}"}, "postal_address"),
        ({"french": "bonjour"}, "postal_address"),
    ],
)
def test_what_is_missing_is_named(fields, place):
    with pytest.raises(CannotPublish, match=place):
        check(a_mail(**fields))


def test_nothing_is_asked_of_what_is_no_commercial_mail():
    check(a_mail(body="b", postal_address=None, **{"class": "transactional"}))
    check(a_type(channels=["push"], variants=[{"id": "a", "content": {"push": {"body": "b"}}}]))

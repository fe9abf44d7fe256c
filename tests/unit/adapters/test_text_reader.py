"""The readers of texts hold their models themselves: they work without a network, and say the same each time."""

import socket

from adapters import text_reader
from adapters.text_reader import TextReader


def test_nothing_is_fetched_to_read_a_text(monkeypatch):
    def refused(*_, **__):
        raise AssertionError("a connection was made")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    text_reader._identifier.cache_clear()
    text_reader._analyzer.cache_clear()
    likely = TextReader().likely_languages("Votre commande a été expédiée et arrivera lundi.")
    assert max(likely, key=likely.get) == "fr"
    assert abs(sum(likely.values()) - 1) < 1e-3
    assert TextReader().tone("This is a terrible disaster") < 0 < TextReader().tone("We love this wonderful day")


def test_no_more_of_a_text_is_read_than_its_beginning():
    beginning = "This is a terrible disaster. " * 200
    assert TextReader().tone(beginning + "wonderful " * 10_000) == TextReader().tone(beginning[:4_000])

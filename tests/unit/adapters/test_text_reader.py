"""The readers of texts hold their models themselves: they work without a network, and say the same each time."""

import subprocess
import sys

from adapters.text_reader import TextReader

_OFFLINE = """
import socket

def refused(*_, **__):
    raise SystemExit("a connection was made")

socket.socket.connect = socket.getaddrinfo = refused
from adapters.text_reader import TextReader
likely = TextReader().likely_languages("Votre commande a été expédiée et arrivera lundi.")
assert max(likely, key=likely.get) == "fr", likely
assert abs(sum(likely.values()) - 1) < 1e-3, likely
assert TextReader().tone("This is a terrible disaster") < 0 < TextReader().tone("We love this wonderful day")
"""


def test_nothing_is_fetched_to_read_a_text():
    # A process of its own: in this one, services of other tests hold connections in their threads.
    done = subprocess.run([sys.executable, "-c", _OFFLINE], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_no_more_of_a_text_is_read_than_its_beginning():
    beginning = "This is a terrible disaster. " * 200
    assert TextReader().tone(beginning + "wonderful " * 10_000) == TextReader().tone(beginning[:4_000])

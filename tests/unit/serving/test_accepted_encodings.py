"""Which encoding a client is given, by the weights it wrote; nonsense is nobody's wish."""

import pytest

from serving.http.compression import chosen


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("", None),
        ("identity", None),
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("GZIP", "gzip"),
        ("br", "br"),
        ("gzip,br", "br"),
        ("br;q=0.8, gzip;q=0.9", "gzip"),
        ("br ; Q=0.3 , gzip ; q=0.2", "br"),
        ("br;q=0", None),
        ("*;q=0", None),
        ("*;q=0.5, br;q=0", "gzip"),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0.5, gzip", "gzip"),
        ("identity;q=0, *;q=0", None),
        ("zstd, deflate", None),
        ("gzip;q=nan", None),
        ("gzip;q=2", None),
        ("gzip;q=-1", None),
        ("gzip;q=high", None),
        (";;,,=", None),
        ("notgzip", None),
        ("brotli", None),
    ],
)
def test_the_weights_decide(accepted, encoding):
    assert chosen(accepted) == encoding

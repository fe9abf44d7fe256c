"""Senders that never finish, or have no right to begin: answered, then cut off."""

import socket

import pytest

from serving.http import strict_body


def exchange(server, head, body=b""):
    """Send a request as raw bytes and return all that comes back until the server closes."""
    with socket.create_connection((server.base_url.host, server.base_url.port), timeout=20) as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode() + body)
        return b"".join(iter(lambda: connection.recv(65_536), b"")).decode()


def head(key, *more):
    return ["POST /v1/events HTTP/1.1", "Host: localhost", "Content-Type: application/json", f"X-API-Key: {key}", *more]


def test_a_body_that_does_not_arrive_in_time_is_given_up(server, key, monkeypatch):
    monkeypatch.setattr(strict_body, "BODY_SECONDS", 0.2)
    answer = exchange(server, head(key, "Content-Length: 100"), b'{"events":')
    assert answer.startswith("HTTP/1.1 408")
    assert "request.too_slow" in answer


@pytest.mark.parametrize("framing", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
def test_without_a_valid_key_the_body_is_not_waited_for(server, framing):
    answer = exchange(server, head("kai_wrong", framing))
    assert answer.startswith("HTTP/1.1 401")
    assert "connection: close" in answer.lower()


def test_a_length_past_the_limit_is_refused_before_anything_is_sent(server, key):
    answer = exchange(server, head(key, f"Content-Length: {10**18}"))
    assert answer.startswith("HTTP/1.1 413")


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "9" * 400])
def test_a_length_that_is_no_length_is_a_4xx(server, key, length):
    answer = exchange(server, head(key, f"Content-Length: {length}", "Connection: close"), b"{}")
    assert answer.split()[1].startswith("4")

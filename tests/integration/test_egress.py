"""The way out: no connection to anything inside, whatever is tried, and no answer costs more than its limits."""

import contextlib
import datetime as dt
import gzip
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Self

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from adapters.egress import Egress, Forbidden, Limits, Unreachable
from tests.unit.domain.test_outside import INSIDE, MISWRITTEN

SHORT = Limits(connect_seconds=2, read_seconds=0.5, total_seconds=1.0, answer_bytes=1_000)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Canary:
    """A listener on loopback that counts who came, reads their request and answers as it is told."""

    def __init__(self, answer: Callable[[socket.socket], None], tls: ssl.SSLContext | None = None) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self.names: list[str] = []
        self._answer, self._tls = answer, tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._ended.is_set():
                client.close()
                return
            self.connections += 1
            with client, contextlib.suppress(OSError):
                link = self._tls.wrap_socket(client, server_side=True) if self._tls else client
                self.requests.append(link.recv(65_536))
                self._answer(link)
                with contextlib.suppress(OSError):
                    link.shutdown(socket.SHUT_RDWR)
                link.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5):
            pass
        self._thread.join(20)
        self._listener.close()


def saying(*parts: bytes) -> Callable[[socket.socket], None]:
    return lambda link: [link.sendall(part) for part in parts] and None


@pytest.fixture
def canary() -> Iterator[Canary]:
    with Canary(saying(OK)) as canary:
        yield canary


def post(egress: Egress, url: str):
    try:
        return egress.post(url, b"{}", {})
    finally:
        egress.close()


def at(port: int, url: str) -> str:
    """Return the URL with the canary's port where it names none."""
    head, slash, path = url.removeprefix("https://").partition("/")
    return f"https://{head}:{port}{slash}{path}"


@pytest.mark.parametrize("url", INSIDE)
def test_no_form_of_an_inner_address_is_connected_to(canary, url):
    for each in (url, at(canary.port, url)):
        with pytest.raises(Forbidden):
            post(Egress(resolve=lambda *_: ["127.0.0.1"]), each)
    assert canary.connections == 0


@pytest.mark.parametrize("url", MISWRITTEN)
def test_no_miswritten_url_is_connected_to(canary, url):
    with pytest.raises(Forbidden):
        post(Egress(resolve=lambda *_: ["127.0.0.1"]), url)
    assert canary.connections == 0


@pytest.mark.parametrize(
    "found",
    [
        ["127.0.0.1"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["10.0.0.7"],
        ["169.254.169.254"],
        ["fe80::1%lo"],
        ["1.1.1.1", "127.0.0.1"],
        ["2606:4700::1111", "::1"],
    ],
)
def test_a_public_name_with_an_inner_address_is_not_connected_to(canary, found):
    with pytest.raises(Forbidden):
        post(Egress(resolve=lambda *_: found), f"https://hooks.example.com:{canary.port}/")
    assert canary.connections == 0


def test_a_name_is_asked_for_once_and_its_answer_is_what_is_connected_to(canary):
    """A name that changes between two questions would pass the first and lead inside with the second."""
    asked = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        # A public address of documentation's sort cannot be reached here; what counts is the second question.
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    egress = Egress(allow_loopback=True, resolve=rebinding, limits=SHORT)
    with pytest.raises(Unreachable, match="encrypted"):
        post(egress, f"https://hooks.example.com:{canary.port}/")
    assert (asked, canary.connections) == (["hooks.example.com"], 1)


def test_a_redirect_is_an_answer_and_is_not_followed(canary):
    there = f"HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:{canary.port}/\r\nContent-Length: 0\r\n\r\n".encode()
    with Canary(saying(there)) as first:
        answer = post(Egress(allow_loopback=True, limits=SHORT), f"http://127.0.0.1:{first.port}/")
    assert (answer.status, first.connections, canary.connections) == (307, 1, 0)


def test_no_proxy_of_the_environment_is_asked(canary, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
    with Canary(saying(OK)) as wanted:
        assert post(Egress(allow_loopback=True, limits=SHORT), f"http://127.0.0.1:{wanted.port}/").status == 200
    with pytest.raises((Unreachable, Forbidden)):
        post(Egress(resolve=lambda *_: [], limits=SHORT), "https://hooks.example.com/")
    assert canary.connections == 0


def test_the_request_names_the_host_and_takes_nothing_packed(canary):
    url = f"http://localhost:{canary.port}/in?a=b"
    answer = post(Egress(allow_loopback=True, resolve=lambda *_: ["127.0.0.1"], limits=SHORT), url)
    assert (answer.status, answer.body, answer.is_cut) == (200, b"ok", False)
    head = canary.requests[0].decode().splitlines()
    assert head[0] == "POST /in?a=b HTTP/1.1"
    assert {f"Host: localhost:{canary.port}", "Accept-Encoding: identity"} <= set(head)


def endless(link: socket.socket) -> None:
    link.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(100_000):
        link.sendall(b"x" * 10_000)


def trickling(*, head: bool) -> Callable[[socket.socket], None]:
    def answer(link: socket.socket) -> None:
        link.sendall(b"HTTP/1.1 200 OK\r\n" + (b"" if head else b"Content-Length: 1000\r\n\r\n"))
        pause = threading.Event()
        for _ in range(30):
            link.sendall(b"a")
            pause.wait(0.1)

    return answer


def test_an_answer_that_never_ends_is_left(canary):
    with Canary(endless) as receiver:
        answer = post(Egress(allow_loopback=True, limits=SHORT), f"http://127.0.0.1:{receiver.port}/")
    assert (len(answer.body), answer.is_cut) == (SHORT.answer_bytes, True)


@pytest.mark.parametrize("head", [True, False])
def test_an_answer_that_trickles_is_given_up(head):
    with (
        Canary(trickling(head=head)) as receiver,
        pytest.raises(Unreachable, match="no complete answer in time"),
    ):
        post(Egress(allow_loopback=True, limits=SHORT), f"http://127.0.0.1:{receiver.port}/")


def test_a_receiver_that_says_nothing_is_given_up():
    with (
        Canary(lambda _: threading.Event().wait(2)) as receiver,
        pytest.raises(Unreachable, match="no complete answer in time"),
    ):
        post(Egress(allow_loopback=True, limits=SHORT), f"http://127.0.0.1:{receiver.port}/")


def test_what_is_packed_stays_packed():
    bomb = gzip.compress(b"\0" * 10_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n".encode()
    with Canary(saying(head, bomb)) as receiver:
        answer = post(Egress(allow_loopback=True, limits=SHORT), f"http://127.0.0.1:{receiver.port}/")
    assert answer.body == bomb[: SHORT.answer_bytes]


@pytest.mark.parametrize("said", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1_000 + b"\r\n"])
def test_what_is_not_http_is_no_answer(said):
    with Canary(saying(said)) as receiver, pytest.raises(Unreachable):
        post(Egress(allow_loopback=True, limits=SHORT), f"http://127.0.0.1:{receiver.port}/")


def test_nobody_there_is_said_without_the_address():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Unreachable) as told:
        post(Egress(allow_loopback=True, limits=SHORT), f"http://127.0.0.1:{port}/")
    assert str(port) not in str(told.value)


def test_a_name_server_that_hangs_is_not_waited_for():
    asked = threading.Event()
    with pytest.raises(Unreachable, match="name server"):
        post(
            Egress(resolve=lambda *_: [str(asked.wait(3))], limits=Limits(connect_seconds=0.2)),
            "https://hooks.example.com/",
        )
    asked.set()


@pytest.fixture
def certified(tmp_path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a server named hooks.example.com shows, and who believes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hooks.example.com")])
    now = dt.datetime.now(dt.UTC)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(1).not_valid_before(now - dt.timedelta(days=1))
    built = built.not_valid_after(now + dt.timedelta(days=1))
    names = x509.SubjectAlternativeName([x509.DNSName("hooks.example.com")])
    certificate = built.add_extension(names, critical=False).sign(key, hashes.SHA256())
    pem, secret = tmp_path / "certificate.pem", tmp_path / "key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem, secret)
    return server, ssl.create_default_context(cafile=str(pem))


def test_the_certificate_is_held_to_the_name_though_the_address_is_pinned(certified):
    server, believing = certified
    here = {"allow_loopback": True, "resolve": lambda *_: ["127.0.0.1"], "limits": SHORT}
    with Canary(saying(OK), tls=server) as receiver:
        url = f"https://hooks.example.com:{receiver.port}/"
        assert post(Egress(tls=believing, **here), url).body == b"ok"
        with pytest.raises(Unreachable, match="certificate"):
            post(Egress(**here), url)
        with pytest.raises(Unreachable, match="certificate"):
            post(Egress(tls=believing, **here), f"https://other.example.com:{receiver.port}/")


def test_no_socket_is_opened_for_what_is_forbidden(monkeypatch):
    opened, ours, connect = [], threading.get_ident(), socket.socket.connect

    def noted(self, where):
        """Another test's thread may still be looking for its server."""
        return opened.append(where) if threading.get_ident() == ours else connect(self, where)

    monkeypatch.setattr(socket.socket, "connect", noted)
    for url in [*INSIDE, *MISWRITTEN]:
        with pytest.raises(Forbidden):
            post(Egress(resolve=lambda *_: ["127.0.0.1"]), url)
    assert opened == []

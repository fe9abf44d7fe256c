"""Where the API may listen: nothing unencrypted beyond this machine, unless somebody answers for it."""

import pytest

from adapters.listening import Listening, address
from adapters.settings import BadSettings, Settings
from tests.certificates import self_signed

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what is tested is who may bind it
OPEN = {"KAIROS_API_HOST": EVERYWHERE}


def of(**variables) -> Listening:
    return Listening.of(Settings.from_env({name: str(value) for name, value in variables.items()}))


def test_it_listens_on_loopback_in_plain_http_unless_told_otherwise():
    listening = of()
    assert (str(listening.host), listening.certificate, listening.proxies) == ("127.0.0.1", None, ("127.0.0.1",))


@pytest.mark.parametrize("host", [EVERYWHERE, "192.0.2.7", "10.0.0.1"])
def test_a_bind_beyond_loopback_without_tls_or_a_proxy_is_refused(host):
    with pytest.raises(BadSettings, match=f"KAIROS_API_HOST: {host} is beyond loopback.*KAIROS_TLS_CERTIFICATE"):
        of(KAIROS_API_HOST=host)


def test_every_address_of_loopback_is_on_this_machine():
    assert str(of(KAIROS_API_HOST="127.0.0.9").host) == "127.0.0.9"


def test_with_tls_it_may_listen_anywhere(tmp_path):
    made = self_signed(tmp_path)
    listening = of(**OPEN, KAIROS_TLS_CERTIFICATE=made.certificate, KAIROS_TLS_KEY=made.key)
    assert (str(listening.host), listening.certificate, listening.key) == (EVERYWHERE, made.certificate, made.key)


@pytest.mark.parametrize(
    ("declared", "believed"),
    [("true", ("127.0.0.1",)), ("192.0.2.1, 10.0.0.0/8", ("192.0.2.1", "10.0.0.0/8"))],
)
def test_behind_a_declared_proxy_it_may_listen_anywhere_and_believes_that_proxy_only(declared, believed):
    assert of(**OPEN, KAIROS_TRUSTED_PROXY=declared).proxies == believed


@pytest.mark.parametrize("declared", ["*", "yes", "proxy.example", "0.0.0.0/0", "::/0", "10.0.0.1,", "false"])
def test_what_names_no_proxy_declares_none(declared):
    with pytest.raises(BadSettings, match=r"KAIROS_TRUSTED_PROXY: .*must be true, or addresses"):
        of(**OPEN, KAIROS_TRUSTED_PROXY=declared)


@pytest.mark.parametrize("host", ["localhost", "::1", "*", "kairos.test"])
def test_a_host_is_an_address(host):
    with pytest.raises(BadSettings, match="KAIROS_API_HOST"):
        of(KAIROS_API_HOST=host)


def test_a_certificate_without_its_key_is_refused_and_the_other_way_round(tmp_path):
    made = self_signed(tmp_path)
    with pytest.raises(BadSettings, match="KAIROS_TLS_CERTIFICATE is set without KAIROS_TLS_KEY"):
        of(KAIROS_TLS_CERTIFICATE=made.certificate)
    with pytest.raises(BadSettings, match="KAIROS_TLS_KEY is set without KAIROS_TLS_CERTIFICATE"):
        of(KAIROS_TLS_KEY=made.key)


def test_a_certificate_that_cannot_serve_stops_the_start_and_says_why(tmp_path):
    made, other = self_signed(tmp_path / "one"), self_signed(tmp_path / "other")
    locked = self_signed(tmp_path / "locked", password=b"hunter2")
    (tmp_path / "text").write_text("no certificate")
    for certificate, key, told in (
        (tmp_path / "none.pem", made.key, "KAIROS_TLS_CERTIFICATE: .*none.pem cannot be read"),
        (made.certificate, tmp_path / "none.pem", "KAIROS_TLS_KEY: .*none.pem cannot be read"),
        (made.certificate, other.key, "are not a PEM certificate and the key"),
        (tmp_path / "text", made.key, "are not a PEM certificate and the key"),
        (locked.certificate, locked.key, "without a password"),
    ):
        with pytest.raises(BadSettings, match=told):
            of(KAIROS_TLS_CERTIFICATE=certificate, KAIROS_TLS_KEY=key)


def test_this_machine_reaches_every_address_at_loopback_and_one_address_there(tmp_path):
    assert address(Settings(api_host=EVERYWHERE), 3000) == "http://127.0.0.1:3000"
    assert address(Settings(api_host="192.0.2.7", tls_certificate=tmp_path), 3000) == "https://192.0.2.7:3000"

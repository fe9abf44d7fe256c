"""The service on the network: encrypted with the certificate it was given, or not there at all."""

import socket
import ssl
import subprocess
import sys

import httpx
import psutil
import pytest

from adapters.embedded.ports import free_port
from adapters.settings import child_environment
from tests.api import settings_for
from tests.certificates import self_signed
from tests.service_process import ROOT, SERVE, ServiceProcess, environment

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what is tested is who may bind it


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory, databases, box):
    """The service with a certificate, on every address of this machine, and that certificate."""
    folder = tmp_path_factory.mktemp("encrypted")
    made = self_signed(folder / "tls")
    settings = settings_for(
        folder, databases, box, api_host=EVERYWHERE, tls_certificate=made.certificate, tls_key=made.key
    )
    # Nothing but the settings says how: what `bentoml serve` is told beside them is nobody's duty.
    service = ServiceProcess(settings, arguments=())
    service.start()
    yield service, made
    service.kill()


def test_a_client_that_trusts_the_certificate_is_answered_encrypted(encrypted):
    service, made = encrypted
    trusting = ssl.create_default_context(cafile=str(made.certificate))
    with httpx.Client(base_url=service.url, verify=trusting, trust_env=False) as client:
        answer = client.get("/healthz")
    assert (service.url[:8], answer.status_code) == ("https://", 200)
    assert "max-age=" in answer.headers["strict-transport-security"]
    with (
        socket.create_connection(("127.0.0.1", service.port), timeout=10) as link,
        trusting.wrap_socket(link, server_hostname="kairos.test") as spoken,
    ):
        assert spoken.version() in {"TLSv1.2", "TLSv1.3"}
        shown = spoken.getpeercert(binary_form=True)
    assert shown == ssl.PEM_cert_to_DER_cert(made.certificate.read_text())


def test_a_client_that_does_not_trust_it_does_not_get_as_far_as_a_request(encrypted):
    service, _ = encrypted
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{service.url}/healthz", trust_env=False)


def test_plain_http_is_not_answered_where_tls_is_spoken(encrypted):
    service, _ = encrypted
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{service.port}/healthz", trust_env=False)


def test_it_listens_where_it_was_told_and_nowhere_else(encrypted):
    service, _ = encrypted
    everything = [service.process, *service.process.children(recursive=True)]
    found = {
        (each.laddr.ip, each.laddr.port)
        for process in everything
        for each in process.net_connections()
        if each.status == psutil.CONN_LISTEN and each.laddr.ip != "127.0.0.1"
    }
    assert found == {(EVERYWHERE, service.port)}


@pytest.mark.parametrize(
    ("arguments", "changes"),
    [((), {"api_host": EVERYWHERE}), (("--host", EVERYWHERE), {}), (("--host", "::"), {})],
    ids=["by setting", "by argument", "by IPv6 argument"],
)
def test_a_service_that_would_be_open_unencrypted_does_not_start(tmp_path, databases, box, arguments, changes):
    settings = settings_for(tmp_path, databases, box, **changes)
    ended = subprocess.run(
        [*SERVE, *arguments, "--port", str(free_port())],
        cwd=ROOT,
        env=environment(settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode != 0
    assert "is beyond loopback, where keys and personal data would travel unencrypted" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_behind_a_proxy_only_the_declared_one_is_believed(tmp_path, databases, box):
    settings = settings_for(tmp_path, databases, box, api_host=EVERYWHERE, trusted_proxy="127.0.0.1")
    service = ServiceProcess(settings, arguments=())
    try:
        service.start()
        said = {proxy: told_of_https(service.url, proxy) for proxy in ("127.0.0.1", "127.0.0.2")}
    finally:
        service.kill()
    believed = {proxy for proxy, headers in said.items() if "strict-transport-security" in headers}
    assert believed == {"127.0.0.1"}


def told_of_https(url, proxy):
    """Ask from a proxy's address, telling of a client who spoke HTTPS, and return the headers of the answer."""
    with httpx.Client(transport=httpx.HTTPTransport(local_address=proxy)) as client:
        return client.get(f"{url}/healthz", headers={"X-Forwarded-Proto": "https"}).headers


def test_kairos_up_refuses_it_before_anything_runs(tmp_path):
    home = tmp_path / "data"
    ended = subprocess.run(
        [sys.executable, "-m", "cli.app", "up"],
        env=child_environment({"KAIROS_DATA_DIR": str(home), "KAIROS_API_HOST": EVERYWHERE}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 2
    assert "KAIROS_API_HOST: 0.0.0.0 is beyond loopback" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not home.exists()

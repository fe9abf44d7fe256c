"""URLs somebody gives us: one way to write each, and none that leads inside."""

import ipaddress

import pytest

from domain.outside import Forbidden, Target, parse, require_public

INSIDE = [
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://127.0.0.01/",
    "https://127.0.0.1./",
    "https://0/",
    "https://0.0.0.0/",
    "https://10.1.2.3/",
    "https://172.16.0.1/",
    "https://192.168.0.1/",
    "https://100.64.0.1/",
    "https://100.100.100.200/",
    "https://169.254.169.254/latest/meta-data/",
    "https://168.63.129.16/",
    "https://192.0.0.192/",
    "https://198.18.0.1/",
    "https://203.0.113.9/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b:1::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:7f00:1::]/",
    "https://[fe80::1]/",
    "https://[fec0::1]/",
    "https://[fd00:ec2::254]/",
    "https://[ff02::1]/",
    "https://[2001:db8::1]/",
    "https://localhost/",
    "https://LOCALHOST/",
    "https://a.localhost/",
    "https://metadata.google.internal/",
    "https://printer.local/",
    "https://intranet/",
]
MISWRITTEN = [
    "",
    "hooks.example.com",
    "//hooks.example.com/",
    "http://hooks.example.com/",
    "file:///etc/passwd",
    "gopher://hooks.example.com/",
    "ftp://hooks.example.com/",
    "unix:/run/postgres",
    "http+unix://%2Frun/x",
    "https://user@hooks.example.com/",
    "https://user:password@hooks.example.com/",
    "https://hooks.example.com@127.0.0.1/",
    "https://hooks.example.com:@127.0.0.1/",
    "https://127.0.0.1#@hooks.example.com/",
    "https://127.0.0.1\\@hooks.example.com/",
    "https://hooks.example.com/#there",
    "https://hooks.example.com/ x",
    "https://hooks.example.com/\r\nHost: x",
    " https://hooks.example.com/",
    "https://hooks.example.com\n",
    "https://hooks.example.com:0/",
    "https://hooks.example.com:65536/",
    "https://hooks.example.com:+443/",
    "https://hooks.example.com:",
    "https://hooks..example.com/",
    "https://-hooks.example.com/",
    "https://hooks.example.com./",
    "https://h\u00f6oks.example.com/",
    "https://\uff11\uff12\uff17.0.0.1/",
    "https://[fe80::1%25eth0]/",
    "https://[127.0.0.1]/",
    "https://hooks.example.com/" + "a" * 2_000,
]


@pytest.mark.parametrize("url", INSIDE)
def test_what_leads_inside_is_refused_however_it_is_written(url):
    with pytest.raises(Forbidden) as refused:
        parse(url)
    assert url.removeprefix("https://").strip("/") not in str(refused.value)


@pytest.mark.parametrize("url", MISWRITTEN)
def test_what_two_readers_might_understand_differently_is_refused(url):
    with pytest.raises(Forbidden):
        parse(url)
    with pytest.raises(Forbidden):
        parse(url, allow_loopback=True)


def test_a_public_url_is_taken_apart():
    assert parse("https://Hooks.Example.com:8443/in?a=b") == Target("https", "hooks.example.com", 8443, "/in?a=b")
    assert parse("https://hooks.example.com").authority == "hooks.example.com"
    found = parse("https://[2606:4700::1111]:444/")
    assert (found.address, found.authority) == (ipaddress.ip_address("2606:4700::1111"), "[2606:4700::1111]:444")
    assert parse("https://1.1.1.1/").address == ipaddress.ip_address("1.1.1.1")


def test_development_opens_this_machine_and_nothing_else():
    for url in ("http://127.0.0.1:8000/", "http://localhost:8000/", "https://[::1]/"):
        parse(url, allow_loopback=True)
    for url in ("http://hooks.example.com/", "http://10.0.0.1/", "https://169.254.169.254/", "https://0.0.0.0/"):
        with pytest.raises(Forbidden):
            parse(url, allow_loopback=True)


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700::1111"])
def test_a_public_address_is_public(address):
    require_public(ipaddress.ip_address(address))

"""What every answer of the API has at its edge: limits, headers, compression, and no other origin."""

import gzip
from urllib.parse import quote

import brotli
import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.wiring import open_parts
from tests.api import serve, settings_for

PROFILE = "/v1/recipients/r-1/profile"
ORIGIN = "https://console.example"
ASKS = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "if-match"}


@pytest.fixture
def limited(tmp_path, databases, box, valkey):
    """A server that answers three requests a minute of one key, and lets one other origin in."""
    settings = settings_for(
        tmp_path, databases, box, redis_url=valkey.url, redis_timeout_ms=2000, rate_limit_key_per_minute=3,
        cors_origins=f"{ORIGIN}, https://second.example",
    )  # fmt: skip
    with serve(lambda: open_parts(settings)) as client:
        yield client


def number(server, name, **labels):
    families = text_string_to_metric_families(server.get("/metrics").text)
    return sum(
        each.value
        for family in families
        for each in family.samples
        if each.name == name and labels.items() <= each.labels.items()
    )


def test_too_many_requests_are_told_when_to_come_again_but_may_always_opt_out(limited, key, tenant):
    headers = {"X-API-Key": key}
    assert [limited.get(PROFILE, headers=headers).status_code for _ in range(3)] == [404] * 3
    refused = limited.put(PROFILE, content=b"{", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (429, "request.too_many")
    assert refused.json()["is_retryable"] is True
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert number(limited, "kairos_http_limited_total", tenant=tenant.tenant, level="key") == 1
    base = "/v1/recipients/r-1"
    for method, path, body in (
        ("POST", "/consents/withdraw", {}),
        ("PUT", "/channels/email", {"is_on": False}),
        ("POST", "/consents", {"purpose": "marketing", "channel": "*", "status": "withdrawn", "source": "form"}),
    ):
        for _ in range(5):
            assert limited.request(method, base + path, json=body, headers=headers).status_code == 200, path
    assert limited.get(PROFILE, headers=headers).status_code == 429


def test_without_the_counters_requests_pass_and_are_counted(api, server):
    before = number(server, "kairos_http_unlimited_total")
    assert api.get(PROFILE).status_code == 404
    assert number(server, "kairos_http_unlimited_total") == before + 1


def test_no_other_origin_may_read_unless_it_is_named(server, limited):
    asked = server.options(PROFILE, headers=ASKS)
    assert asked.status_code == 405
    assert "access-control-allow-origin" not in asked.headers
    assert "access-control-allow-origin" not in server.get("/healthz", headers={"Origin": ORIGIN}).headers
    assert limited.options(PROFILE, headers=ASKS).headers["access-control-allow-origin"] == ORIGIN
    told = limited.get("/healthz", headers={"Origin": ORIGIN})
    assert told.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-credentials" not in told.headers
    stranger = limited.get("/healthz", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in stranger.headers


def test_a_large_answer_is_compressed_on_request_and_a_small_one_is_not(server):
    large = server.get("/openapi.json", headers={"Accept-Encoding": "gzip"})
    assert large.headers["content-encoding"] == "gzip"
    assert int(large.headers["content-length"]) < len(large.content) / 3
    assert "content-encoding" not in server.get("/openapi.json", headers={"Accept-Encoding": "identity"}).headers
    assert "content-encoding" not in server.get("/healthz", headers={"Accept-Encoding": "gzip"}).headers


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("br", "br"),
        ("gzip, deflate, br", "br"),
        ("gzip;q=1.0, br;q=0.5", "gzip"),
        ("br;q=0, gzip", "gzip"),
        ("gzip;q=0, br;q=0", None),
        ("deflate", None),
        ("*", "br"),
    ],
)
def test_the_encoding_is_the_one_the_client_likes_best_and_brings_the_same_bytes(server, accepted, encoding):
    plain = server.get("/openapi.json", headers={"Accept-Encoding": "identity"})
    with server.stream("GET", "/openapi.json", headers={"Accept-Encoding": accepted}) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers.get("content-encoding") == encoding
    assert "Accept-Encoding" in answer.headers["vary"]
    opened = {"br": brotli.decompress, "gzip": gzip.decompress, None: bytes}[encoding](raw)
    assert opened == plain.content
    assert int(answer.headers["content-length"]) == len(raw)
    assert encoding is None or len(raw) < len(opened) / 3


@pytest.mark.parametrize("accepted", ["br", "gzip", "gzip, br"])
def test_a_stream_of_events_is_never_compressed(api, accepted):
    with api.stream("GET", "/v1/recipients/r-1/changes", headers={"Accept-Encoding": accepted}) as answer:
        first = next(answer.iter_raw())
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "content-encoding" not in answer.headers
    assert first.startswith(b"retry:")


def test_a_version_the_client_has_is_not_sent_again_but_its_read_is_in_the_trail(api):
    api.put(PROFILE, json={"locale": "fr", "attributes": {f"a{i}": "x" * 100 for i in range(20)}})
    whole = api.get(PROFILE)
    tag = whole.headers["etag"]
    for seen in (tag, f"W/{tag}", f'"77", {tag}', "*"):
        answer = api.get(PROFILE, headers={"If-None-Match": seen, "Accept-Encoding": "br"})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag), seen
        assert not {"content-type", "content-length", "content-encoding"} & set(answer.headers)
        assert answer.headers["x-request-id"]
    assert len(api.get("/v1/audit", params={"action": "profile.read"}).json()["entries"]) == 5
    for seen in ('"77"', tag.strip('"'), ""):
        assert api.get(PROFILE, headers={"If-None-Match": seen}).json() == whole.json(), seen
    assert api.put(PROFILE, json={"locale": "de"}, headers={"If-None-Match": "*"}).status_code == 200
    changed = api.get(PROFILE, headers={"If-None-Match": tag})
    assert (changed.status_code, changed.json()["profile"]["locale"]) == (200, "de")


def test_a_refusal_is_told_in_full_whatever_the_client_has(api):
    refused = api.get("/v1/recipients/nobody/profile", headers={"If-None-Match": "*"})
    assert (refused.status_code, refused.json()["code"]) == (404, "resource.not_found")


TAGGED = {
    "/v1/admin/attribute-schema": '"0"',
    "/v1/admin/contact-budget": '"0"',
    "/v1/business-rules": '"0"',
    "/v1/brand-rules": '"0"',
    "/v1/volume-targets": '"0"',
    "/v1/preferences/policy": '"0"',
    "/v1/admin/service-levels/basic": '"0"',
}


def test_the_document_says_of_every_get_with_a_tag_what_can_be_done_with_it(api, server):
    paths = server.get("/openapi.json").json()["paths"]
    told = {path for path, item in paths.items() if "304" in item.get("get", {}).get("responses", {})}
    assert told == {
        *(path.replace("basic", "{level}") for path in TAGGED),
        "/v1/recipients/{recipient_id}/profile",
        "/v1/recipients/{recipient_id}/preferences/{preference_id}",
        "/v1/preferences/templates/{template_id}",
    }
    for path, tag in TAGGED.items():
        assert api.get(path, headers={"If-None-Match": tag}).status_code == 304, path


@pytest.mark.parametrize("path", ["/healthz", "/v1/nothing", "/openapi.json", "/docs"])
def test_every_answer_tells_browsers_to_be_careful(server, path):
    headers = server.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "default-src 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize(
    "address", ["/v1/recipients/r%ff/profile", "/v1/recipients/r%c3%28/profile", "/v1/audit?action=%ff"]
)
def test_an_address_that_is_no_utf_8_is_refused_and_not_read_as_something_else(api, address):
    refused = api.get(address)
    assert (refused.status_code, refused.json()["code"]) == (400, "request.malformed")
    assert "UTF-8" in refused.json()["detail"]
    assert "�" not in refused.text


@pytest.mark.parametrize("control", ["%00", "%0a", "%0d", "%1b", "%7f"])
def test_a_control_character_in_a_path_is_refused_by_name(api, control):
    refused = api.put(f"/v1/recipients/r{control}1/profile", json={})
    assert (refused.status_code, refused.json()["code"]) == (400, "request.malformed")
    assert "control characters" in refused.json()["detail"]


UNSEEN = "\x85\xad\u034f\u061c\u115f\u180e\u200b\u200d\u202e\u2028\u2060\u2066\u3164\ufe0f\ufeff\uffa0\U000e0041"


@pytest.mark.parametrize("unseen", UNSEEN, ids=[f"U+{ord(each):04X}" for each in UNSEEN])
def test_an_id_with_something_nobody_sees_is_refused_in_words(api, unseen):
    written = f"r{unseen}1"
    by_path = api.put(f"/v1/recipients/{quote(written)}/profile", json={})
    by_body = api.post(
        "/v1/preferences/bulk", json={"recipient_ids": [written], "preferences": [{"value": {"enabled": True}}]}
    )
    for refused in (by_path, by_body):
        assert refused.status_code == 422
        assert "no control, invisible or direction-changing characters" in refused.json()["errors"][0]["expected"]
    assert by_body.json()["field"] == "recipient_ids.0"


@pytest.mark.parametrize("name", ["Zoë", "شركة", "株式会社", "user|42", "a b", "'; drop table profile; --", "😀"])
def test_an_id_that_can_be_seen_is_taken_as_it_is(api, name):
    assert api.put(f"/v1/recipients/{quote(name)}/profile", json={"locale": "fr"}).status_code == 200
    assert api.get(f"/v1/recipients/{quote(name)}/profile").json()["profile"]["locale"] == "fr"

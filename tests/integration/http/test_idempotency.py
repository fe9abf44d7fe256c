"""A request with an idempotency key has one effect and one answer: at once, later, after a fault and a restart."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import text

from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.consent import ConsentStore
from adapters.postgres.idempotency import IdempotencyRecords, InFlight, KeptAnswer, Request
from adapters.postgres.tenants import Tenants
from serving.local_hooks import LocalHooks
from serving.wiring import open_parts
from tests.api import serve, settings_for

PROFILE = {"locale": "de", "attributes": {"tier": "gold-of-somebody"}}
KEY = {"Idempotency-Key": "k-1"}
PATH = "/v1/recipients/r-1/profile"
CONSENTS = "/v1/recipients/r-1/consents"
GRANT = {"purpose": "marketing", "channel": "email", "status": "given", "legal_basis": "consent", "source": "form"}

SUPPRESS = text(
    "INSERT INTO suppression (tenant, recipient_id, channel, reason, since, source) "
    "VALUES (:t, 'r', 'email', 'x', now(), 's')"
)


def seen(answer):
    return answer.status_code, answer.content, answer.headers.get("etag")


def rows(db, tenant, sql):
    with db.tenant(tenant.tenant) as connection:
        return connection.execute(text(sql)).all()


def count(db, tenant, table):
    return rows(db, tenant, f"SELECT count(*) FROM {table}")[0][0]


def test_a_repeat_gets_the_same_status_bytes_and_etag_and_changes_nothing(api, db, tenant):
    first = api.put(PATH, json=PROFILE, headers=KEY)
    changed = api.put(PATH, json={})
    again = api.put(PATH, json=PROFILE, headers=KEY)
    assert first.status_code == 200
    assert seen(again) == seen(first)
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert api.get(PATH).headers["etag"] == changed.headers["etag"] != first.headers["etag"]


def test_with_and_without_a_key_a_route_answers_alike(api):
    with_key = api.post(CONSENTS, json=GRANT, headers=KEY)
    without = api.post(CONSENTS.replace("r-1", "r-2"), json=GRANT)
    assert with_key.status_code == without.status_code == 200
    assert with_key.json()["consents"][0].keys() == without.json()["consents"][0].keys()
    assert with_key.headers["content-type"] == without.headers["content-type"]
    assert api.delete(PATH, headers=KEY).status_code == api.delete(PATH.replace("r-1", "r-3")).status_code == 204


def test_fifty_at_once_have_one_effect(api, db, tenant):
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: api.post(CONSENTS, json=GRANT, headers=KEY), range(50)))
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) <= {200, 409}
    assert {a.json()["code"] for a in answers if a.status_code == 409} <= {"request.key_in_flight"}
    assert len({a.content for a in answers if a.status_code == 200}) == 1
    assert count(db, tenant, "consent_record") == 1


def test_the_same_key_for_another_body_address_or_precondition_is_refused(api):
    api.put(PATH, json=PROFILE, headers=KEY)
    for answer in (
        api.put(PATH, json={}, headers=KEY),
        api.put(PATH.replace("r-1", "r-2"), json=PROFILE, headers=KEY),
        api.put(PATH, json=PROFILE, headers=KEY | {"If-Match": '"7"'}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "request.key_reused")
        assert answer.json()["field"] == "Idempotency-Key"


def test_a_key_belongs_to_its_route_its_principal_and_its_tenant(server, api, db, box, tenant):
    keys = ApiKeys(db, box)
    other = Tenants(db, box).create(f"{tenant.tenant}-b", display_name="b", time_zone="UTC", is_sandbox=True)[0]
    assert api.put(PATH, json=PROFILE, headers=KEY).status_code == 200
    assert api.patch(PATH, json=PROFILE, headers=KEY).headers.get("idempotent-replayed") is None
    for owner in (tenant, other):
        answer = server.put(PATH, json={}, headers=KEY | {"X-API-Key": keys.issue(owner.tenant, name="second")})
        assert (answer.status_code, answer.headers.get("idempotent-replayed")) == (200, None)


def test_what_was_refused_for_its_form_may_come_again_under_the_same_key(api):
    assert api.put(PATH, json={"locale": 7}, headers=KEY).status_code == 422
    assert api.put(PATH, content=b"{", headers=KEY | {"content-type": "application/json"}).status_code == 400
    assert api.put(PATH, json=PROFILE, headers=KEY).status_code == 200


def test_what_was_refused_for_what_holds_is_answered_alike(api):
    missing = api.put(PATH, json=PROFILE, headers=KEY | {"If-Match": '"3"'})
    assert missing.status_code in (404, 412)
    api.put(PATH, json=PROFILE)
    assert seen(api.put(PATH, json=PROFILE, headers=KEY | {"If-Match": '"3"'})) == seen(missing)


def test_a_fault_is_kept_and_none_of_its_effects(api, db, tenant, monkeypatch):
    def records_then_breaks(self, given, *args, **kwargs):
        real(self, given, *args, **kwargs)
        raise RuntimeError("a fault after the effect")

    real = ConsentStore.record
    monkeypatch.setattr(ConsentStore, "record", records_then_breaks)
    first = api.post(CONSENTS, json=GRANT, headers=KEY)
    monkeypatch.undo()
    assert (first.status_code, count(db, tenant, "consent_record")) == (500, 0)
    assert seen(api.post(CONSENTS, json=GRANT, headers=KEY)) == seen(first)
    assert count(db, tenant, "consent_record") == 0


def test_hooks_of_the_process_are_told_once_after_the_commit_with_a_key_and_without(
    tmp_path, databases, box, key, db, tenant
):
    told = []

    class AtOnce(LocalHooks):
        """Looks at the moment it is told, from a connection that sees what is committed."""

        def tell(self, point, facts):
            told.append((point, facts["version"], rows(db, tenant, "SELECT version FROM profile")))

    @contextlib.contextmanager
    def parts():
        with open_parts(settings_for(tmp_path, databases, box)) as opened:
            yield replace(opened, local_hooks=AtOnce())

    with serve(parts) as own:
        own.headers.update({"X-API-Key": key})
        for headers in (KEY, KEY, {}):
            assert own.put(PATH, json=PROFILE | {"country": "DE" if headers else "FR"}, headers=headers).is_success
        assert own.patch(PATH, json={"locale": "fr"}, headers=KEY).is_success
        refused = own.patch(PATH, json={"locale": "en"}, headers={"Idempotency-Key": "k-2", "If-Match": '"1"'})
        assert refused.status_code == 412
    assert told == [("profile_updated", version, [(version,)]) for version in (1, 2, 3)]


def test_it_survives_a_restart(tmp_path, databases, box, key, api):
    first = api.post(CONSENTS, json=GRANT, headers=KEY)
    with serve(lambda: open_parts(settings_for(tmp_path, databases, box))) as other:
        assert seen(other.post(CONSENTS, json=GRANT, headers=KEY | {"X-API-Key": key})) == seen(first)


def test_a_day_later_the_key_is_new_and_the_old_answer_is_gone(api, db, tenant):
    api.post(CONSENTS, json=GRANT, headers=KEY)
    api.put(PATH, json=PROFILE, headers=KEY)
    rows_before = count(db, tenant, "idempotency_record")
    with db.tenant(tenant.tenant) as connection:
        connection.execute(text("UPDATE idempotency_record SET recorded_at = recorded_at - INTERVAL '24 hours'"))
    answer = api.post(CONSENTS, json=GRANT, headers=KEY)
    assert (answer.status_code, answer.headers.get("idempotent-replayed")) == (200, None)
    assert (rows_before, count(db, tenant, "idempotency_record")) == (2, 1)
    assert count(db, tenant, "consent_record") == 2


def test_nothing_of_it_stands_in_the_clear(api, db, tenant):
    secret = {"Idempotency-Key": "anna@example.org"}
    assert api.put(PATH, json=PROFILE, headers=secret).status_code == 200
    (row,) = rows(db, tenant, "SELECT * FROM idempotency_record")
    everything = b"|".join(value if isinstance(value, bytes) else str(value).encode() for value in row)
    assert tenant.tenant.encode() in everything
    for word in (b"gold-of-somebody", b"anna", b"r-1"):
        assert word not in everything


def asked(tenant, key="k"):
    return Request(tenant.tenant, "key:p", "POST /v1/x", key, b"content")


def test_who_comes_while_it_is_being_done_does_not_wait(db, box, tenant):
    records = IdempotencyRecords(db, box)

    def second():
        with pytest.raises(InFlight), records.claim(asked(tenant)):
            pass
        return True

    with records.claim(asked(tenant)) as claim, ThreadPoolExecutor(1) as pool:
        assert pool.submit(second).result(timeout=20)
        claim.keep(KeptAnswer(200, {}, b"first"))
    with records.claim(asked(tenant)) as claim:
        assert claim.kept == KeptAnswer(200, {}, b"first")


def test_killed_before_the_commit_neither_effect_nor_answer_stands(db, box, tenant):
    def is_killed(records):
        with records.claim(asked(tenant)) as claim:
            with db.tenant(tenant.tenant) as connection:
                connection.execute(SUPPRESS, {"t": tenant.tenant})
            claim.keep(KeptAnswer(200, {}, b"first"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        is_killed(IdempotencyRecords(db, box))
    assert (count(db, tenant, "suppression"), count(db, tenant, "idempotency_record")) == (0, 0)


def test_a_key_of_another_form_is_refused(server, key):
    for given in ("", "x" * 256, "with space"):
        answer = server.put(PATH, json={}, headers={"X-API-Key": key, "Idempotency-Key": given})
        assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid"), given[:10]

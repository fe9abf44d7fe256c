"""Opting out without a login: one click in an e-mail, one word in a text."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import func, select

from adapters.postgres.consent import ConsentStore
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.tables import audit
from adapters.postgres.tenants import Tenants
from domain.consent import ConsentChange, ConsentStatus
from domain.values import Purpose
from tests.builders import NOON, a_type

BODY = "{{ postal_address }} {{ unsubscribe_url }}"
MAIL = {
    "channels": ["email"],
    "postal_address": "1 Main St",
    "variants": [{"id": "a", "content": {"email": {"body": BODY}}}],
}
ONE_CLICK = {"data": {"List-Unsubscribe": "One-Click"}}


@pytest.fixture
def consenting(db, box, tenant):
    """A tenant at noon whose recipient ``r`` agreed to marketing."""
    bill = a_type(type="bill", **{"class": "transactional"}, **MAIL)
    MessageTypes(db).publish(tenant, [a_type(**MAIL), bill], actor="t")
    given = ConsentChange(purpose=Purpose.MARKETING, status=ConsentStatus.GIVEN, source="t", effective_at=NOON)
    ConsentStore(db).record(tenant, "r", [given], actor="t", now=NOON)
    return at(db, box, tenant, NOON)


def at(db, box, tenant, moment):
    return Tenants(db, box).shift_clock(tenant.tenant, (moment - datetime.now(UTC)).total_seconds())


def mail(api, key="k", message_type="news"):
    """Ask until the draw sends (nothing is drawn by rules, so at once, but for the hold-out)."""
    for number in range(40):
        body = {"recipient_id": "r", "message": {"type": message_type}}
        answer = api.post("/v1/decisions", json=body, headers={"Idempotency-Key": f"{key}{number}"}).json()
        if answer["outcome"] == "send_now":
            return answer, f"{key}{number}"
    raise AssertionError(answer)


def path_of(answer):
    return answer["content"]["headers"]["List-Unsubscribe"].strip("<>").partition("3000")[2]


def allowed(api):
    return [each["status"] for each in api.get("/v1/recipients/r/consents").json()["consents"]]


def withdrawals(db, tenant):
    query = select(func.count()).where(audit.c.action == "consent.withdrawn")
    with db.tenant(tenant.tenant) as connection:
        return connection.execute(query).scalar_one()


def test_a_marketing_mail_carries_its_way_out_and_a_bill_does_not(api, consenting):
    answer, key = mail(api)
    content = answer["content"]
    assert content["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    url = content["headers"]["List-Unsubscribe"].strip("<>")
    assert content["body"] == f"1 Main St {url}"
    body = {"recipient_id": "r", "message": {"type": "news"}}
    again = api.post("/v1/decisions", json=body, headers={"Idempotency-Key": key}).json()
    assert again["content"] == content
    assert mail(api, "b", "bill")[0]["content"]["headers"] == {}


def test_one_click_withdraws_once_without_cookie_login_or_redirect(api, server, db, consenting):
    path = path_of(mail(api)[0])
    for _ in range(3):
        answer = server.post(path, **ONE_CLICK, follow_redirects=False)
        assert (answer.status_code, "set-cookie" in answer.headers) == (200, False)
    assert allowed(api) == ["given", "withdrawn"]
    assert withdrawals(db, consenting) == 1
    body = {"recipient_id": "r", "message": {"type": "news"}}
    assert api.post("/v1/decisions", json=body).json()["reason"] == "consent.withdrawn"


def test_a_form_of_either_kind_counts(api, server, consenting):
    path = path_of(mail(api)[0])
    assert server.post(path, files={"List-Unsubscribe": (None, "One-Click")}).status_code == 200
    assert allowed(api) == ["given", "withdrawn"]


@pytest.mark.parametrize(
    "content",
    ["", "List-Unsubscribe=", "List-Unsubscribe=One-Click&x=1", "list-unsubscribe=One-Click", "{}", "x" * 20_000],
)
def test_looking_or_another_body_changes_nothing(api, server, consenting, content):
    path = path_of(mail(api)[0])
    page = server.get(path)
    assert (page.status_code, 'method="post"' in page.text) == (200, True)
    assert server.head(path).status_code == 200
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert server.post(path, content=content, headers=form).status_code == 400
    assert allowed(api) == ["given"]


def test_an_unknown_token_gets_the_same_answers(api, server, consenting):
    path = path_of(mail(api)[0])
    unknown = path[:-4] + ("AAAA" if not path.endswith("AAAA") else "BBBB")
    for ask in (server.get, server.post, partial(server.post, **ONE_CLICK)):
        there, nowhere = ask(path), ask(unknown)
        assert (there.status_code, there.content) == (nowhere.status_code, nowhere.content)
    assert allowed(api) == ["given", "withdrawn"]


@pytest.mark.parametrize(("days", "is_withdrawn"), [(30, True), (365, True), (400, False)])
def test_a_link_works_for_a_year(api, server, db, box, consenting, days, is_withdrawn):
    path = path_of(mail(api)[0])
    at(db, box, consenting, NOON + timedelta(days=days))
    assert server.post(path, **ONE_CLICK).status_code == 200
    assert ("withdrawn" in allowed(api)) == is_withdrawn


def text(api, said, **fields):
    return api.post("/v1/sms/inbound", json={"recipient_id": "r", "text": said} | fields)


def test_a_keyword_revokes_every_channel_and_is_confirmed_once(api, db, consenting):
    answer = text(api, "Please STOP.").json()
    assert (answer["is_opt_out"], answer["keyword"]) == (True, "stop")
    assert answer["confirmation"]["send_by"].startswith("2026-03-02T17:05")
    assert allowed(api) == ["withdrawn"]
    assert text(api, "stop").json()["confirmation"] is None
    assert withdrawals(db, consenting) == 1


def test_a_confirmation_comes_within_five_minutes_or_not_at_all(api, consenting):
    late = text(api, "stop", received_at=(NOON - timedelta(minutes=6)).isoformat()).json()
    assert (late["is_opt_out"], late["confirmation"]) == (True, None)
    assert allowed(api) == ["withdrawn"]


def test_another_text_changes_nothing(api, consenting):
    assert text(api, "thank you").json() == {"is_opt_out": False, "keyword": None, "confirmation": None}
    assert allowed(api) == ["given"]
    answer = text(api, "stop", address="+14155550100")
    assert answer.status_code == 422


def test_a_number_reaches_its_owner_and_an_unknown_one_the_list(api, consenting):
    api.put("/v1/recipients/r/addresses/sms", json={"address": "+1 415 555 0100"})
    for number in ("+14155550100", "+14155550111"):
        answer = api.post("/v1/sms/inbound", json={"address": number, "text": "unsubscribe"}).json()
        assert answer["confirmation"] is not None
    assert allowed(api) == ["withdrawn"]
    known, unknown = (
        api.post("/v1/suppressions/check", json={"channel": "sms", "address": number}).json()["is_suppressed"]
        for number in ("+14155550100", "+14155550111")
    )
    assert (known, unknown) == (False, True)
    assert api.post("/v1/sms/inbound", json={"address": "0100", "text": "stop"}).json()["field"] == "address"


def test_a_word_texted_again_is_nothing_new_where_one_channel_had_a_consent_of_its_own(api, db, consenting):
    given = ConsentChange(purpose=Purpose.MARKETING, channel="sms", status=ConsentStatus.GIVEN, source="t")
    ConsentStore(db).record(consenting, "r", [given], actor="t", now=NOON)
    assert text(api, "stop").json()["confirmation"] is not None
    assert text(api, "stop").json()["confirmation"] is None
    assert withdrawals(db, consenting) == 1


@pytest.mark.parametrize(
    "token", ["%3Cscript%3Ealert(1)%3C/script%3E", "a%0d%0aX-Evil:%201", "%22%3E%3Cimg%20src=x%3E"]
)
def test_the_page_repeats_nothing_of_its_address_and_lets_nothing_run(server, token):
    for answer in (server.get(f"/u/{token}"), server.post(f"/u/{token}", **ONE_CLICK)):
        assert "alert" not in answer.text
        assert "<img" not in answer.text
        assert "x-evil" not in answer.headers
        if answer.status_code == 200:
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert answer.headers["content-type"] == "text/html; charset=utf-8"

"""The suppression list over HTTP: by hash, before and after its address is anybody's, and gone only when lifted."""

import pytest
from sqlalchemy import select

from adapters.postgres.consent import ConsentStore
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.law_tables import recipient_address, suppressed_address
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.suppressed_addresses import suppress_erased
from adapters.postgres.tables import audit
from adapters.settings import Settings
from domain.consent import ConsentChange, ConsentStatus
from domain.decision_request import DecisionRequest
from domain.values import Purpose
from serving.asks import Ask
from serving.decide import Decider, new_id
from tests.builders import NOON, a_type

ANN = {"channel": "email", "address": "Ann@Example.org"}
ON_EMAIL = {"channels": ["email"], "variants": [{"id": "a", "content": {"email": {"body": "b"}}}]}


@pytest.fixture
def decide(db, tenant):
    types = [a_type(**ON_EMAIL), a_type(type="receipt", **{"class": "transactional"}, **ON_EMAIL)]
    MessageTypes(db).publish(tenant, types, actor="test")
    grant = ConsentChange(purpose=Purpose.MARKETING, status=ConsentStatus.GIVEN, source="test", effective_at=NOON)

    def decide(recipient="r", message_type="news"):
        ConsentStore(db).record(tenant, recipient, [grant], actor="test", now=NOON)
        decider = Decider(DecisionLog(db), lambda: None, Settings(holdout_share=0))
        request = DecisionRequest.model_validate({"recipient_id": recipient, "message": {"type": message_type}})
        return decider.decide(tenant, [Ask(new_id(), request)], now=NOON, actor="test")[0].answer["reason"]

    return decide


def set_address(api, recipient="r", address="ann@example.org"):
    return api.put(f"/v1/recipients/{recipient}/addresses/email", json={"address": address})


def test_a_listed_address_is_refused_whoever_has_it(api, decide):
    assert set_address(api).json() == {"is_suppressed": False, "entry": None}
    assert decide() == "policy.rules"
    assert api.post("/v1/suppressions", json=ANN).json() == {"added": 1, "known": 0}
    assert (decide(), decide(message_type="receipt")) == ("suppression.listed", "suppression.listed")
    assert set_address(api, "again", "ANN@example.org").json()["is_suppressed"] is True
    assert decide("again") == "suppression.listed"
    assert decide("somebody-else") == "policy.rules"


@pytest.mark.parametrize(
    ("cause", "marketing", "receipt"),
    [
        ("bounced", "suppression.bounced", "suppression.bounced"),
        ("complained", "suppression.complained", "policy.rules"),
        ("opted_out", "suppression.listed", "policy.rules"),
    ],
)
def test_a_cause_stops_what_it_stops(api, decide, cause, marketing, receipt):
    set_address(api)
    api.post("/v1/suppressions", json=ANN | {"cause": cause})
    assert decide() == marketing
    assert decide(message_type="receipt").startswith(receipt.partition(".")[0])


def test_a_stronger_cause_replaces_a_weaker_one_and_never_the_other_way(api):
    for cause in ("opted_out", "manual", "complained"):
        api.post("/v1/suppressions", json=ANN | {"cause": cause})
    assert api.post("/v1/suppressions/check", json=ANN).json()["entry"]["cause"] == "manual"


def test_only_a_lift_with_its_reason_opens_it_again(api, decide, db, tenant):
    set_address(api)
    api.post("/v1/suppressions", json=ANN)
    refused = api.post("/v1/suppressions/lift", json=ANN)
    assert (refused.status_code, refused.json()["field"]) == (422, "reason")
    lifted = api.post("/v1/suppressions/lift", json=ANN | {"reason": "the bounce was ours"})
    assert lifted.json() == {"is_suppressed": False, "entry": None}
    assert decide() == "policy.rules"
    assert api.post("/v1/suppressions/lift", json=ANN | {"reason": "again"}).status_code == 404
    with db.tenant(tenant.tenant) as connection:
        rows = connection.execute(select(audit.c.action, audit.c.object).order_by(audit.c.audit_id)).all()
    told = [row for row in rows if row.action.startswith("suppression.")]
    assert [row.action for row in told] == ["suppression.listed", "suppression.lifted"]
    assert not any("ann" in row.object.lower() for row in told)


def test_an_import_is_whole_or_not_at_all(api):
    entries = [{"channel": "sms", "address": f"+1415555{number:04d}", "cause": "opted_out"} for number in range(300)]
    bad = [*entries, {"channel": "sms", "address": "555", "cause": "opted_out"}]
    refused = api.post("/v1/suppressions/import", json={"entries": bad})
    assert (refused.status_code, refused.json()["field"]) == (422, "entries")
    check = {"channel": "sms", "address": "+1 415 555 0007"}
    assert api.post("/v1/suppressions/check", json=check).json()["is_suppressed"] is False
    assert api.post("/v1/suppressions/import", json={"entries": entries}).json() == {"added": 300, "known": 0}
    assert api.post("/v1/suppressions/import", json={"entries": entries}).json() == {"added": 0, "known": 300}
    assert api.post("/v1/suppressions/check", json=check).json()["entry"]["cause"] == "opted_out"


def test_it_outlives_the_erasure_of_its_recipient_and_holds_for_the_next_one(api, decide, db, tenant):
    set_address(api)
    with db.tenant(tenant.tenant) as connection:
        suppress_erased(connection, tenant, "r", actor="test", now=NOON)
    with db.tenant(tenant.tenant) as connection:
        assert connection.execute(select(recipient_address)).all() == []
        assert [row.reason for row in connection.execute(select(suppressed_address))] == ["erased"]
    assert set_address(api, "imported-again").json()["is_suppressed"] is True
    assert decide("imported-again") == "suppression.listed"
    assert decide("imported-again", "receipt") != "suppression.listed"


def test_what_is_kept_and_told_of_an_address_is_its_hash(api, db, tenant):
    set_address(api)
    (told,) = api.get("/v1/recipients/r/addresses").json()["addresses"]
    assert (told["channel"], len(told["address_hash"])) == ("email", 64)
    with db.tenant(tenant.tenant) as connection:
        kept = connection.execute(select(recipient_address.c.address_hash)).scalar_one()
    assert bytes(kept).hex() == told["address_hash"]
    assert api.delete("/v1/recipients/r/addresses/email").status_code == 204
    assert api.delete("/v1/recipients/r/addresses/email").status_code == 404
    assert api.get("/v1/recipients/r/addresses").json() == {"addresses": []}


def test_a_bad_address_is_named_and_not_repeated(api):
    answer = set_address(api, address="no-address")
    assert (answer.status_code, answer.json()["field"]) == (422, "address")
    assert "no-address" not in answer.text
    assert api.get("/v1/recipients/r/addresses").json() == {"addresses": []}

"""Every route by every kind of caller, made from the served document: nobody sees what is not theirs to see.

A route that is added is covered when the document names it. Canaries are values only the first tenant's rows hold.
"""

import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.tenants import Tenants
from domain.permissions import Permission
from domain.roles import PERMISSIONS, Role
from tests.access_matrix import Builder, Operation, operations
from tests.builders import a_type

CANARY = "c4n4ry"
RECIPIENT = "person-of-the-first-tenant"
BEYOND_ONE_TENANT = PERMISSIONS[Role.PLATFORM_ADMIN]


@dataclass(frozen=True)
class Asker:
    """A credential, and what it may do; None when it is no credential."""

    key: str | None
    may: frozenset[str] | None
    token: str | None = None
    is_recipient: bool = False

    @property
    def headers(self) -> dict[str, str]:
        if self.token is not None:
            return {"Authorization": f"Bearer {self.token}"}
        return {} if self.key is None else {"X-API-Key": self.key}


@pytest.fixture
def keys(db, box):
    return ApiKeys(db, box)


@pytest.fixture
def decision(api, db, tenant) -> str:
    """A canary in every place the API can show: a profile, a consent, a type, an event, a decision. Returns its id."""
    content = {"email": {"subject": CANARY, "body": CANARY}, "push": {"body": CANARY}}
    variants = [{"id": f"{CANARY}_{name}", "content": content} for name in "ab"]
    MessageTypes(db).publish(tenant, [a_type(variants=variants, **{"class": "transactional"})], actor=CANARY)
    profile = {"locale": "fr", "channels": {"email": {"reachable": True}}, "attributes": {"note": CANARY}}
    assert api.put(f"/v1/recipients/{RECIPIENT}/profile", json=profile).status_code == 200
    consent = {"purpose": "marketing", "status": "given", "text_version": CANARY, "proof": {"form": CANARY}}
    assert api.post(f"/v1/recipients/{RECIPIENT}/consents", json=consent | {"source": CANARY}).status_code == 200
    wanted = {"recipient_id": RECIPIENT, "message": {"type": "news"}}
    decided = api.post("/v1/decisions", json=wanted)
    assert CANARY in decided.text
    return decided.json()["decision_id"]


@pytest.fixture
def first(keys, tenant, signer) -> dict[str, Asker]:
    """One key and one token of each kind in the tenant that has the data."""
    now = datetime.now(UTC)
    revoked, expired = (keys.issue(tenant.tenant, name=CANARY) for _ in range(2))
    keys.revoke(tenant.tenant, revoked.split("_")[1], at=now)
    expired = keys.issue(tenant.tenant, name=CANARY, expires_at=now - timedelta(seconds=1))
    everything = frozenset(each.value for each in Permission) - BEYOND_ONE_TENANT
    askers = {"nobody": Asker(None, None), "revoked": Asker(revoked, None), "expired": Asker(expired, None)}
    askers["everything"] = Asker(keys.issue(tenant.tenant, name=CANARY, scopes=["*"]), everything)
    askers["nothing"] = Asker(keys.issue(tenant.tenant, name=CANARY, scopes=[]), frozenset())
    for role in Role:
        may = PERMISSIONS[role] if role != Role.RECIPIENT else frozenset()
        askers[role.value] = Asker(keys.issue(tenant.tenant, name=CANARY, roles=[role.value]), may)
        if role not in (Role.RECIPIENT, Role.PLATFORM_ADMIN):
            askers[f"token of {role.value}"] = Asker(None, PERMISSIONS[role], signer.of(role.value))
    mine = signer.of(Role.RECIPIENT.value, sub=RECIPIENT)
    askers["the recipient"] = Asker(None, PERMISSIONS[Role.RECIPIENT], mine, is_recipient=True)
    return askers


@pytest.fixture
def second(keys, db, box, tenant) -> dict[str, Asker]:
    """Keys of another tenant, which has nothing."""
    other, _ = Tenants(db, box).create(f"{tenant.tenant}-b", display_name="b")
    everything = frozenset(each.value for each in Permission) - BEYOND_ONE_TENANT
    return {
        "everything": Asker(keys.issue(other.tenant, name="b"), everything),
        **{
            role.value: Asker(keys.issue(other.tenant, name="b", roles=[role.value]), PERMISSIONS[role])
            for role in Role
            if role != Role.RECIPIENT
        },
    }


@pytest.fixture
def document(server):
    return server.get("/openapi.json").json()


@pytest.fixture
def builder(document, decision, key):
    known = {"recipient_id": RECIPIENT, "decision_id": decision, "prefix": key.split("_")[1], "type": "news"}
    return Builder(document, known)


def ask(server: httpx.Client, request, asker: Asker):
    """Return the status and everything that was answered; of an endless answer, its beginning."""
    with server.stream(**request, headers=asker.headers) as answer:
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            return answer.status_code, str(answer.headers)
        answer.read()
        return answer.status_code, f"{answer.headers} {answer.text}"


def reads_first(document) -> list:
    """Return the operations that need a permission; what changes the canaries comes after what shows them."""
    return sorted(guarded(document), key=lambda operation: operation.method != "get")


def guarded(document) -> list:
    return [operation for operation in operations(document) if operation.permission is not None]


def expected(asker: Asker, operation: Operation) -> int | None:
    """Return the refusal that is due, None when the caller may ask."""
    if asker.may is None:
        return 401
    is_open = not asker.is_recipient or operation.spec.get("x-own-data", False)
    return None if operation.permission in asker.may and is_open else 403


def test_every_caller_gets_what_their_permissions_say_and_nothing_else(server, document, builder, first, capsys):
    asked, wrong = 0, []
    for operation in reads_first(document):
        request = builder.request(operation)
        for who, asker in first.items():
            status, told = ask(server, request, asker)
            asked += 1
            due = expected(asker, operation)
            if ((status in (401, 403) or due is not None) and status != due) or status >= 500:
                wrong.append((operation.name, who, status, due))
            if due is not None and (CANARY in told or RECIPIENT in told):
                wrong.append((operation.name, who, "leak"))
    assert wrong == []
    assert asked > len(first) * 10
    with capsys.disabled():
        sys.stdout.write(f"\naccess matrix: {asked} requests of {len(first)} callers, 0 leaks\n")


def test_no_caller_of_another_tenant_learns_or_changes_anything(server, api, document, builder, second):
    before = as_it_is(api)
    asked, wrong = 0, []
    for operation in reads_first(document):
        for who, asker in second.items():
            if expected(asker, operation) is None:
                status, told = ask(server, builder.request(operation), asker)
                asked += 1
                if CANARY in told or status >= 500:
                    wrong.append((operation.name, who, status))
    assert wrong == []
    assert asked > 20
    assert as_it_is(api) == before


def as_it_is(api) -> list:
    """Return what the first tenant holds; its own key must still be good for asking."""
    answers = [api.get(path) for path in (f"/v1/recipients/{RECIPIENT}/profile", "/v1/admin/keys")]
    return [answer.json() for answer in answers if answer.raise_for_status()]


def test_an_object_of_another_tenant_is_answered_as_one_that_does_not_exist(server, document, builder, second):
    nobody = {"recipient_id": "nobody", "decision_id": "0" * 36, "prefix": "0" * 12}
    absent = Builder(document, {**builder.known, **nobody})
    differing = []
    for operation in guarded(document):
        named = [each["name"] for each in operation.spec.get("parameters", ()) if each["in"] == "path"]
        if operation.method != "get" or not named:
            continue
        theirs, nobodys = (ask(server, each.request(operation), second["everything"]) for each in (builder, absent))
        if theirs[0] != nobodys[0]:
            differing.append((operation.name, theirs[0], nobodys[0]))
    assert differing == []


def test_the_canaries_can_be_seen_by_those_who_may(server, document, builder, first):
    """Otherwise the matrix would prove nothing."""
    seen = set()
    for operation in guarded(document):
        if operation.method == "get":
            _, told = ask(server, builder.request(operation), first["everything"])
            seen |= {operation.path} if CANARY in told else set()
    assert {
        "/v1/recipients/{recipient_id}/profile",
        "/v1/recipients/{recipient_id}/consents",
        "/v1/decisions/{decision_id}",
        "/v1/audit",
        "/v1/admin/keys",
    } <= seen


def test_the_platforms_administrator_sees_no_recipients_data(server, document, builder, first):
    platform = first[Role.PLATFORM_ADMIN.value]
    for operation in guarded(document):
        status, told = ask(server, builder.request(operation), platform)
        assert CANARY not in told, operation.name
        assert operation.permission in BEYOND_ONE_TENANT or status == 403, operation.name


def test_routes_without_a_permission_hold_no_ones_data(server, document, builder, decision):
    for operation in operations(document):
        if operation.permission is None:
            _, told = ask(server, builder.request(operation), Asker(None, None))
            assert CANARY not in json.dumps(told), operation.name

"""Proposed variants: linted, out of traffic until somebody else approves, and drawn within their share."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import func, select

from adapters.postgres import variant_proposals as stored
from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.tables import audit, decision
from adapters.postgres.variant_proposal_tables import variant_proposal
from serving.wiring import open_parts
from tests.api import serve, settings_for
from tests.builders import a_type

WHERE = "/v1/types/news/variants"
VARIANTS = [
    {"id": "plain", "content": {"push": {"subject": "Plain", "body": "Short"}}},
    {"id": "warm", "content": {"push": {"subject": "Warm", "body": "A longer text"}}},
]
MADE = ["s1__b2", "s2__b1"]
"""What combining the parts of these two adds."""
LANGUAGES = ["fr", "de", "es", "it", "nl", "pt", "pl"]


class Writer:
    """Stands for a service in front of a language model."""

    def __init__(self):
        self.status, self.asked, self.keys, self.url = 200, [], [], ""
        made = {"id": "made", "features": {"tone": "playful"}, "content": {"push": {"body": "Written by no one"}}}
        self.answer = {"variants": [made]}
        self.may_answer, self.come = threading.Event(), threading.Semaphore(0)
        self.may_answer.set()


@contextmanager
def writing(writer):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            writer.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            writer.keys.append(self.headers["Authorization"])
            writer.come.release()
            writer.may_answer.wait(30)
            body = json.dumps(writer.answer).encode()
            self.send_response(writer.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    writer.url = f"http://127.0.0.1:{server.server_address[1]}/variants"
    try:
        yield writer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def definition(db, tenant):
    return publish(db, tenant)


def publish(db, tenant, **fields):
    given = {"channels": ["push"], "variants": VARIANTS, "class": "transactional"} | fields
    (made,) = MessageTypes(db).publish(tenant, [a_type(**given)], actor="test")
    return made.definition


@pytest.fixture
def approver(api, db, box, tenant):
    """A client that may approve, and nothing else."""
    key = ApiKeys(db, box).issue(tenant.tenant, name="approver", scopes=["types:approve"])
    with httpx.Client(base_url=api.base_url, headers={"Authorization": f"Bearer {key}"}, timeout=30) as client:
        yield client


def asked(client, **body):
    answer = client.post(f"{WHERE}/generate", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def generate(client, **body):
    answer = asked(client, **body)
    assert answer["refused"] == []
    return answer["proposals"]


def decide(client, proposal, what):
    return client.post(f"{WHERE}/proposals/{proposal['proposal_id']}/{what}")


def counted(state, generator="combinator"):
    labels = {"generator": generator, "state": state}
    return REGISTRY.get_sample_value("kairos_variant_proposals_total", labels) or 0.0


def test_the_parts_of_the_variants_are_combined_anew_and_wait_outside_of_traffic(api, db, tenant, definition):
    before = counted("proposed")
    made = generate(api)
    assert [(each["variant"]["id"], each["state"], each["errors"]) for each in made] == [
        (name, "proposed", []) for name in MADE
    ]
    assert (made[0]["variant"]["content"]["push"]["subject"], made[0]["variant"]["content"]["push"]["body"]) == (
        "Plain", "A longer text",
    )  # fmt: skip
    assert counted("proposed") == before + 2
    # Asked again, what waits is not proposed twice.
    assert generate(api) == []
    assert MessageTypes(db).all(tenant)[0].definition == definition


def test_an_approved_variant_is_in_the_next_version_and_drawn_within_its_share(api, approver, db, tenant, definition):
    first, second = generate(api, traffic_share=0.03)
    passed = decide(approver, first, "approve")
    assert (passed.status_code, passed.json()["state"], passed.json()["published_version"]) == (200, "approved", 2)
    found = MessageTypes(db).all(tenant)[0]
    assert [each.id for each in found.definition.variants] == ["plain", "warm", "s1__b2"]
    assert found.definition.variants[2].generated.approved_by == passed.json()["decided_by"]
    asks = [{"request": {"recipient_id": f"r{number}", "message": {"type": "news"}}} for number in range(20)]
    assert api.post("/v1/decisions/batch", json={"decisions": asks}).json()["decided"] == 20
    with db.tenant(tenant.tenant) as connection:
        records = connection.execute(select(decision.c.record)).scalars().all()
        trail = connection.execute(select(audit.c.action).order_by(audit.c.audit_id)).scalars().all()
    stages = [stage for record in records for stage in record["stages"] if stage["name"] == "variant"]
    assert len(stages) == 20
    for stage in stages:
        chances = dict(zip((each["variant_id"] for each in stage["options"]), stage["probabilities"], strict=True))
        assert 0 < chances["s1__b2"] <= 0.03
        assert sum(chances.values()) == pytest.approx(1)
    assert {"variant.proposed", "variant.approved", "type.published"} <= set(trail)
    assert decide(approver, second, "reject").json()["state"] == "rejected"
    for what in ("approve", "reject"):
        again = decide(approver, second, what)
        assert (again.status_code, again.json()["code"]) == (409, "proposal.decided")


def test_who_proposes_may_not_approve_and_who_approves_may_not_propose(api, approver, db, box, tenant, definition):
    (proposal, _) = generate(api)
    key = ApiKeys(db, box).issue(tenant.tenant, name="writer", scopes=["types:read", "types:write"])
    headers = {"Authorization": f"Bearer {key}"}
    for what in ("approve", "reject"):
        there = f"{WHERE}/proposals/{proposal['proposal_id']}/{what}"
        assert api.post(there, headers=headers).status_code == 403
    assert approver.post(f"{WHERE}/generate", json={}).status_code == 403
    assert MessageTypes(db).all(tenant)[0].version == 1


def test_what_lint_refuses_is_told_with_why_and_nothing_of_it_is_kept(api, approver, db, tenant, definition):
    before = counted("refused")
    assert api.put("/v1/brand-rules", json={"required": [], "banned": ["longer"]}).status_code == 200
    for waiting in (["s2__b1"], []):
        found = asked(api)
        assert [each["variant"]["id"] for each in found["proposals"]] == waiting
        (refused,) = found["refused"]
        assert (refused["variant"]["id"], "brand.banned_word" in refused["errors"][0]) == ("s1__b2", True)
    assert counted("refused") == before + 2
    (kept,) = api.get(f"{WHERE}/proposals").json()["proposals"]
    assert kept["variant"]["id"] == "s2__b1"
    with db.tenant(tenant.tenant) as connection:
        assert connection.execute(select(func.count()).select_from(variant_proposal)).scalar_one() == 1
    # What the rules let pass again is proposed.
    assert api.put("/v1/brand-rules", json={"required": [], "banned": []}).status_code == 200
    assert [each["variant"]["id"] for each in generate(api)] == ["s1__b2"]
    # The rules of the day of the approval count.
    assert api.put("/v1/brand-rules", json={"required": ["unheard"], "banned": []}).status_code == 200
    late = decide(approver, kept, "approve")
    assert (late.status_code, late.json()["code"]) == (409, "proposal.not_approvable")
    assert "brand.required_word_missing" in late.json()["detail"]


@pytest.mark.parametrize(("languages", "subjects", "expected"), [(8, 1, "128 KB"), (4, 16, "1024 KB")])
def test_more_text_than_may_be_proposed_names_the_slots_and_keeps_nothing(
    api, definition, languages, subjects, expected
):
    said = {"push": {"body": "x" * 19_000}}
    body = {"id": "b", "content": said, "translations": dict.fromkeys(LANGUAGES[: languages - 1], said)}
    titles = {name: {"push": {"subject": "Title"}} for name in LANGUAGES}
    heads = [
        {"id": f"s{number}", "content": {"push": {"subject": f"Title {number}"}}, "translations": titles}
        for number in range(subjects)
    ]
    answer = api.post(f"{WHERE}/generate", json={"most": 50, "slots": {"subject": heads, "body": [body]}})
    assert (answer.status_code, answer.json()["field"]) == (422, "slots")
    assert expected in answer.json()["errors"][0]["expected"]
    assert api.get(f"{WHERE}/proposals").json()["proposals"] == []


def test_proposals_are_listed_by_state_and_page(api, approver, definition):
    first, second = generate(api)
    decide(approver, first, "reject")
    ids = [each["proposal_id"] for each in api.get(f"{WHERE}/proposals").json()["proposals"]]
    assert sorted(ids) == sorted([first["proposal_id"], second["proposal_id"]])
    waiting = api.get(f"{WHERE}/proposals", params={"state": "proposed"}).json()["proposals"]
    assert [each["proposal_id"] for each in waiting] == [second["proposal_id"]]
    page = api.get(f"{WHERE}/proposals", params={"limit": 1}).json()
    rest = api.get(f"{WHERE}/proposals", params={"limit": 1, "cursor": page["next_cursor"]}).json()
    assert [each["proposal_id"] for each in (*page["proposals"], *rest["proposals"])] == ids
    # What was rejected is not proposed again.
    assert generate(api) == []


def test_no_more_proposals_wait_than_may_and_a_decision_makes_room(api, approver, definition, monkeypatch):
    monkeypatch.setattr(stored, "MOST_WAITING", 1)
    (first,) = generate(api, most=1)
    slots = {"body": [{"id": "two", "content": {"push": {"body": "Two"}}}]}
    full = api.post(f"{WHERE}/generate", json={"slots": slots})
    assert (full.status_code, full.json()["code"]) == (409, "proposal.too_many")
    decide(approver, first, "reject")
    assert len(generate(api, slots=slots)) == 1


def test_options_of_ones_own_are_combined_and_slots_become_variants(api, approver, db, tenant):
    slots = {"body": [{"id": "one", "content": {"push": {"body": "One"}}}]}
    publish(db, tenant, variants=None, slots=slots)
    assert generate(api) == []
    given = {"body": [{"id": "two", "content": {"push": {"body": "Two"}}}]}
    (proposal,) = generate(api, slots=given)
    assert decide(approver, proposal, "approve").status_code == 200
    found = MessageTypes(db).all(tenant)[0].definition
    assert ([each.id for each in found.variants], found.slots) == (["one", "two"], None)


def test_an_id_that_is_taken_is_refused_and_an_unknown_type_is_not_found(api, definition):
    slots = {"body": [{"id": "plain", "content": {"push": {"body": "Other"}}}]}
    (refused,) = asked(api, slots=slots)["refused"]
    assert refused["errors"] == ["another variant of the type has this id"]
    assert api.post("/v1/types/unknown/variants/generate", json={}).status_code == 404
    assert api.post(f"{WHERE}/proposals/vprop_{'0' * 20}/approve").status_code == 404


def test_there_is_no_writer_unless_the_operator_says_where(api, definition):
    for name in ("writer", "other"):
        answer = api.post(f"{WHERE}/generate", json={"generator": name})
        assert (answer.status_code, answer.json()["code"]) == (409, "generator.off")


@pytest.fixture(scope="module")
def writer():
    with writing(Writer()) as found:
        yield found


@pytest.fixture(scope="module")
def with_writer(tmp_path_factory, databases, box, issuers_file, writer):
    settings = settings_for(
        tmp_path_factory.mktemp("writer"), databases, box, token_issuers_file=issuers_file,
        variant_writer_url=writer.url, variant_writer_key="k-writer",
    )  # fmt: skip
    with serve(lambda: open_parts(settings)) as client:
        yield client


def test_a_writer_is_told_the_brief_and_believed_in_nothing(with_writer, writer, key, approver, definition, db, tenant):
    headers = {"Authorization": f"Bearer {key}"}

    def ask(most=1):
        return with_writer.post(f"{WHERE}/generate", json={"generator": "writer", "most": most}, headers=headers)

    (proposal,) = ask().json()["proposals"]
    assert (proposal["variant"]["generated"]["by"], proposal["state"]) == ("writer", "proposed")
    assert proposal["variant"]["generated"]["approved_by"] is None
    asked = writer.asked[0]
    assert (asked["type"], asked["channels"], asked["most"], writer.keys) == ("news", ["push"], 1, ["Bearer k-writer"])
    assert set(asked) == {"type", "channels", "locale", "variables", "most", "slots"}
    # A variable that nobody declared is found by lint.
    writer.answer = {"variants": [{"id": "sly", "content": {"push": {"body": "Hi {{ phone }}"}}}]}
    found = ask().json()
    assert found["proposals"] == []
    assert "phone" in found["refused"][0]["errors"][0]
    wrong = [
        {"variants": [{"id": "x", "content": {"push": {"body": "b"}}, "generated": {"by": "me"}}]},
        {"variants": "none"},
        [],
    ]
    for writer.answer in wrong:
        answer = ask()
        assert (answer.status_code, answer.json()["code"]) == (424, "generator.unavailable")
        assert "me" not in answer.json()["detail"].split()
    # Three in a row: it is not asked for a while.
    count = len(writer.asked)
    assert ask().status_code == 424
    assert len(writer.asked) == count
    assert decide(approver, proposal, "approve").status_code == 200
    entered = MessageTypes(db).all(tenant)[0].definition.variants[-1]
    assert (entered.id, entered.features.tone) == ("made", "playful")


def test_a_writer_that_takes_long_holds_two_places_of_a_tenant(tmp_path, databases, box, issuers_file, key, definition):
    with writing(Writer()) as slow, ThreadPoolExecutor(2) as pool:
        settings = settings_for(
            tmp_path, databases, box, token_issuers_file=issuers_file, variant_writer_url=slow.url
        )  # fmt: skip
        with serve(lambda: open_parts(settings)) as client:
            client.headers["Authorization"] = f"Bearer {key}"

            def ask(generator="writer"):
                return client.post(f"{WHERE}/generate", json={"generator": generator})

            slow.may_answer.clear()
            waiting = [pool.submit(ask) for _ in range(2)]
            try:
                assert all(slow.come.acquire(timeout=10) for _ in waiting)
                refused = ask()
                assert (refused.status_code, refused.json()["code"]) == (429, "request.too_many_at_once")
                assert refused.headers["retry-after"] == "1"
                # What nobody outside is asked for goes on.
                assert ask("combinator").status_code == 201
            finally:
                slow.may_answer.set()
            assert {each.result(30).status_code for each in waiting} <= {201, 409}
            assert ask().status_code == 201

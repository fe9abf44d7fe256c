"""Every route under bodies that are no good and strings that mean something to somebody else, from the served document.

Nothing refused leaves a row, nothing accepted is changed or acted on, and whatever is sent, a log line is one line.
"""

import json
import sys
import threading
from collections import Counter
from functools import partial
from itertools import cycle, islice

import pytest
from sqlalchemy import text

from adapters.postgres.message_types import MessageTypes
from adapters.postgres.schema import metadata
from tests.access_matrix import operations
from tests.api_fuzz import ENDLESS, example, prepared

JSON = "application/json"
MALFORMED = {
    "nothing": b"",
    "a torn object": b'{"a": ',
    "two documents": b"{}{}",
    "a hundred thousand levels": b"[" * 100_000,
    "more than is read": b'"' + b"x" * 600_000 + b'"',
    "NUL": b'{"a": "\\u0000"}',
    "a bare NUL": b'{"a": "\x00"}',
    "half a character": b'{"a": "\\ud800"}',
    "not a number": b'{"a": NaN}',
    "infinity": b'{"a": 1e999}',
    "five thousand digits": b'{"a": ' + b"9" * 5_000 + b"}",
    "2^63": b'{"a": 9223372036854775808}',
    "a key twice": b'{"a": 1, "a": 2}',
    "many keys": b"{" + b",".join(b'"k%d":1' % n for n in range(20_000)) + b"}",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "Latin-1": '{"a": "é"}'.encode("latin-1"),
    "a list": b"[]",
    "a text": b'"x"',
    "null": b"null",
    "a field nobody knows": b'{"tenant_id": "other"}',
    "comments": b"{/* */}",
}
HEADERS = {
    "another type": {"Content-Type": "text/plain"},
    "pickle": {"Content-Type": "application/vnd.bentoml+pickle"},
    "compressed": {"Content-Type": JSON, "Content-Encoding": "gzip"},
    "another charset": {"Content-Type": f"{JSON}; charset=utf-16"},
}
WORDS = (
    "'; DROP TABLE profile; --",
    '" OR 1=1 --',
    "$1",
    "\r\nX-Injected: yes",
    'x"}\n{"event": "forged"}',
    "\x1b[2J",
    '=HYPERLINK("http://x")',
    "@SUM(1+1)",
    "kairos:rate:*\r\nFLUSHALL\r\n",
    "../../../../etc/passwd",
    "%2e%2e%2f",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "%s%n{0.__class__}",
    "<script>alert(1)</script>",
    "\u202egnp.exe",
    "r/profile",
)
WORDS_EACH = 4
"""Words that one place gets; the next place gets the next ones, so every kind of place gets every word."""
DEEPEST = 4


@pytest.fixture
def world(api, db, tenant):
    """A tenant with something of everything, whose job is done, so that nothing writes but what is asked."""
    made = prepared(api, partial(MessageTypes(db).publish, tenant, actor="test"), f"{tenant.tenant}-person")
    (job,) = {
        each["example"]
        for operation in operations(made.document)
        for each in operation.spec.get("parameters", ())
        if each["name"] == "job_id"
    }
    waited = threading.Event()
    for _ in range(1_000):
        if api.get(f"/v1/jobs/{job}").json()["state"] == "done":
            return made
        waited.wait(0.02)
    raise AssertionError("the job was never done")


@pytest.fixture
def rows(db, tenant):
    """Count what the tenant has, table by table."""
    # A request with events is kept as a dead letter, sealed and with its reason, so that nothing sent is lost.
    letters = ("dead_letter", "ingest_batch")
    names = [each.name for each in metadata.sorted_tables if "tenant" in each.c and each.name not in letters]

    def counted() -> dict[str, int]:
        with db.tenant(tenant.tenant) as connection:
            count = "SELECT count(*) FROM {} WHERE tenant = :t"
            return {
                name: connection.execute(text(count.format(name)), {"t": tenant.tenant}).scalar_one() for name in names
            }

    return counted


TELLS = {"POST /v1/types/lint"}
"""Operations whose answer is what is wrong with a body."""


def test_no_malformed_body_is_taken_or_leaves_a_row(api, world, rows, capsys):
    before, wrong, sent = rows(), [], 0
    for operation in operations(world.document):
        if "requestBody" not in operation.spec:
            continue
        request = example(world.document, operation)
        good = json.dumps(request.pop("json")).encode()
        bad = [(name, body, {"Content-Type": JSON}) for name, body in MALFORMED.items()]
        bad += [(name, good, headers) for name, headers in HEADERS.items()]
        for name, body, headers in bad:
            answer = api.request(**request, content=body, headers=headers)
            sent += 1
            if operation.name in TELLS and answer.status_code == 200 and not answer.json()["can_be_published"]:
                continue
            if not 400 <= answer.status_code < 500 or answer.headers["content-type"] != "application/problem+json":
                wrong.append((operation.name, name, answer.status_code))
    assert wrong == []
    assert {name: n - before[name] for name, n in rows().items() if n != before[name]} == {}
    with capsys.disabled():
        sys.stdout.write(f"\nmalformed bodies: {sent} sent, all refused, 0 rows left\n")


def places(document, schema, depth=0):
    """Yield the path of every place in a body that may hold a string of the sender's own."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if depth > DEEPEST:
        return
    for word in ("anyOf", "oneOf", "allOf"):
        for each in schema.get(word, ()):
            yield from places(document, each, depth)
    for part, each in parts(schema):
        yield from ((part, *rest) for rest in places(document, each, depth + 1))
    if schema.get("type") == "string" and not schema.keys() & {"enum", "const"}:
        yield ()


def parts(schema):
    """Yield what is inside: fields by their names, one of a mapping's values, the first of a list."""
    yield from schema.get("properties", {}).items()
    if isinstance(schema.get("additionalProperties"), dict):
        yield "k", schema["additionalProperties"]
    if "items" in schema:
        yield 0, schema["items"]


def put(body, path, word):
    """Write a word into a body, making what leads there."""
    part, *rest = path
    if not rest:
        new = word
    else:
        inner = body.get(part) if isinstance(body, dict) else (body[0] if body else None)
        new = (
            inner
            if isinstance(inner, dict if isinstance(rest[0], str) else list)
            else {}
            if isinstance(rest[0], str)
            else []
        )
        put(new, rest, word)
    if isinstance(body, dict):
        body[part] = new
    else:
        body[:] = [new]


def read(value, path):
    for part in path:
        if not isinstance(value, dict if isinstance(part, str) else list) or (
            isinstance(part, str) and part not in value
        ):
            return None
        if isinstance(part, int) and not value:
            return None
        value = value[part]
    return value


def worded(world, operation, words):
    """Yield requests that differ from the example in one string: where it stands in the body, the word, the request."""
    schema = operation.spec.get("requestBody", {}).get("content", {}).get(JSON, {}).get("schema")
    for path in sorted(set(places(world.document, schema)), key=str) if schema else ():
        for word in islice(words, WORDS_EACH):
            request = example(world.document, operation)
            put(request["json"], path, word)
            yield path, word, request
    for parameter in operation.spec.get("parameters", ()):
        for word in islice(words, WORDS_EACH) if parameter["in"] == "query" else ():
            request = example(world.document, operation)
            yield None, word, request | {"params": {**request["params"], parameter["name"]: word}}


def is_wrong(answer, path, word) -> bool:
    """Tell whether the service failed, was made to say a header, or tells the string otherwise than it was put."""
    told = read(answer.json(), path) if path and answer.status_code < 300 and answer.content else None
    # The text of an SMS is answered with another text, under the same name; what is said twice stands as first said.
    changed = isinstance(told, str) and path[-1] != "text" and told not in WORDS
    return answer.status_code >= 500 or "x-injected" in answer.headers or changed


@pytest.mark.usefixtures("leaves_no_erasure")
def test_no_string_does_anything_but_stand_where_it_was_put(api, world, capfd):
    canary = f"/v1/recipients/{world.person}-canary/profile"
    api.put(canary, json={"locale": "fr"}).raise_for_status()
    wrong, statuses, words = [], Counter(), cycle(WORDS)
    # What gives keys away or ends the tenant's own people comes last; nothing needs them any more then.
    for operation in sorted(operations(world.document), key=lambda each: (each.method == "delete", each.path)):
        for path, word, request in worded(world, operation, words) if operation.path != ENDLESS else ():
            answer = api.request(**request)
            statuses[answer.status_code] += 1
            if is_wrong(answer, path, word):
                wrong.append((operation.name, path, word, answer.status_code))
    assert wrong == []
    assert api.get(canary).json()["profile"]["locale"] == "fr"
    lines = [line for line in capfd.readouterr().out.splitlines() if line.startswith("{")]
    assert len(lines) >= statuses.total()
    assert {json.loads(line)["event"] for line in lines} & {"forged"} == set()
    assert statuses[200] + statuses[201] + statuses[202] > 100, statuses
    with capfd.disabled():
        sys.stdout.write(f"\nhostile strings: {statuses.total()} requests, {dict(sorted(statuses.items()))}\n")

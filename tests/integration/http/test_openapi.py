"""The OpenAPI document and its page: complete, true, and served without anything from elsewhere."""

import contextlib

import pytest
from fastapi.routing import iter_route_contexts
from jsonschema import Draft202012Validator

from serving.http.app import build_app
from serving.http.docs import as_3_0
from tests.browser import Tab, chromium, executable

APP = build_app(contextlib.nullcontext)
DOCUMENT = APP.openapi()
OPERATIONS = [
    (f"{method.upper()} {path}", operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
]
with_operations = pytest.mark.parametrize(
    "operation", [each for _, each in OPERATIONS], ids=[name for name, _ in OPERATIONS]
)


@with_operations
def test_an_operation_has_one_place_on_the_page(operation):
    assert len(operation["tags"]) == 1


PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


def references(node):
    if isinstance(node, dict):
        yield from [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_the_document_is_3_1_and_every_reference_leads_somewhere():
    assert DOCUMENT["openapi"] == "3.1.0"
    for reference in set(references(DOCUMENT)):
        node = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_live_route_is_documented_but_the_pages():
    live = {
        (method.lower(), context.path_format)
        for context in iter_route_contexts(APP.routes)
        for method in context.methods or ()
        if context.include_in_schema
    }
    assert live == {(method, path) for path, operations in DOCUMENT["paths"].items() for method in operations}
    hidden = {context.path for context in iter_route_contexts(APP.routes) if not context.include_in_schema}
    assert hidden == {
        "/u/{token}",
        "/d/{token}",
        "/",
        "/openapi.json",
        "/docs",
        "/docs/start.js",
        "/docs/assets/{name}",
        "/docs/openapi.json",
    }


@with_operations
def test_an_operation_says_what_it_is_and_how_it_can_fail(operation):
    assert operation["summary"]
    assert operation["description"]
    failures = {status: told for status, told in operation["responses"].items() if status >= "4"}
    assert failures["500"]["content"] == PROBLEM
    readiness = {"application/json": {"schema": {"$ref": "#/components/schemas/ReadinessAnswer"}}}
    assert all(told["content"] in (PROBLEM, readiness) for told in failures.values())


@with_operations
def test_an_operation_below_v1_says_how_to_authenticate(operation):
    is_ours = operation["tags"] != ["operation"]
    assert operation.get("security", []) == ([{"bearer": []}, {"api_key": []}] if is_ours else [])
    assert not is_ours or {"401", "403", "503"} <= set(operation["responses"])


@with_operations
def test_an_operation_with_a_body_says_which_and_how_it_is_refused(operation):
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert list(references(schema))
        assert {"400", "408", "413", "415", "422"} <= set(operation["responses"])


def test_the_document_is_served(server):
    assert server.get("/openapi.json").json()["paths"].keys() == DOCUMENT["paths"].keys()


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": "string", "nullable": True}),
        ({"anyOf": [{"$ref": "#/a"}, {"type": "null"}]}, {"allOf": [{"$ref": "#/a"}], "nullable": True}),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        ({"const": 1}, {"enum": [1]}),
        ({"exclusiveMinimum": 0}, {"exclusiveMinimum": True, "minimum": 0}),
        ({"properties": {"const": {"type": "string"}}}, {"properties": {"const": {"type": "string"}}}),
    ],
)
def test_the_page_is_given_the_same_in_the_words_of_3_0(schema, expected):
    assert as_3_0(schema) == expected


def test_the_root_leads_to_the_page_which_may_load_nothing_from_elsewhere(server):
    assert server.get("/", follow_redirects=False).headers["location"] == "/docs"
    policy = server.get("/docs").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy


@pytest.mark.browser
@pytest.mark.skipif(executable() is None, reason="there is no Chromium on this machine")
def test_a_browser_shows_every_operation_and_asks_no_one_else(server):
    with chromium() as browser:
        tab = Tab(browser)
        tab.page.goto(f"{server.base_url}/", wait_until="networkidle")
        tab.page.wait_for_selector(".opblock")
        shown = tab.page.locator(".opblock").count()
        assert tab.page.locator(".errors-wrapper").count() == 0
    assert (shown, tab.strays, tab.errors) == (len(OPERATIONS), [], [])

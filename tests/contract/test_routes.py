"""What every route below /v1 shares cannot be forgotten by a new one."""

import contextlib

import pytest
from fastapi.routing import iter_route_contexts

from serving.http.app import build_app
from serving.http.auth import dependencies
from serving.http.rate_limit import RateLimited
from serving.http.routes import UNSAFE, Route

APP = build_app(contextlib.nullcontext)
FOR_PEOPLE = {
    "/",
    "/openapi.json",
    "/docs",
    "/docs/start.js",
    "/docs/openapi.json",
    "/docs/assets/{name}",
    # Whoever has the link has the address; a program that asks the API gets it in an answer.
    "/u/{token}",
    "/d/{token}",
}
"""What the document leaves out: itself, its pages, and what stands behind a link that was sent or handed out."""
UNSAFE_ROUTES = [
    context
    for context in iter_route_contexts(APP.routes)
    if str(context.path).startswith("/v1/") and UNSAFE & set(context.methods or ())
]


def test_every_unsafe_route_is_done_once_for_a_key():
    assert len(UNSAFE_ROUTES) > 5
    bare = {
        f"{context.methods} {context.path}"
        for context in UNSAFE_ROUTES
        if not hasattr(context.endpoint, "is_done_once") and not hasattr(context.endpoint, "has_own_key")
    }
    assert bare == set(), "give its router the class: APIRouter(route_class=Route, ...) from serving.http.routes"


def test_only_decisions_give_a_key_a_meaning_of_its_own():
    own = {context.path for context in UNSAFE_ROUTES if hasattr(context.endpoint, "has_own_key")}
    assert own == {
        "/v1/decisions",
        "/v1/decisions/batch",
        "/v1/decisions/preview",
        "/v1/decisions/{decision_id}/handover",
        "/v1/digests/{digest_id}/handover",
        "/v1/types/lint",
    }


def test_every_route_with_a_caller_is_limited_but_those_that_opt_out():
    ours = [context for context in iter_route_contexts(APP.routes) if str(context.path).startswith("/v1/")]
    free = {
        f"{context.methods} {context.path}"
        for context in ours
        if not any(isinstance(call, RateLimited) for call in dependencies(context))
    }
    opt_outs = {
        f"{context.methods} {context.path}" for context in ours if hasattr(context.endpoint, "is_never_limited")
    }
    assert free == opt_outs
    may_say_no = (
        "/consent-platform/",
        "/opt-out-signal",
        "/consents",
        "/channels/",
        "/preferences",
        "/v1/suppressions",
        "/v1/sms/inbound",
        "/objection",
    )
    assert len(opt_outs) == sum(any(part in each for part in may_say_no) for each in opt_outs) > 0


def test_every_unsafe_operation_documents_the_key():
    for context in UNSAFE_ROUTES:
        (method,) = context.methods
        operation = APP.openapi()["paths"][context.path_format][method.lower()]
        assert "Idempotency-Key" in {each["name"] for each in operation["parameters"]}, context.path


def test_an_unsafe_route_that_would_block_the_loop_is_refused():
    async def waits(caller: str) -> None:
        """Do nothing."""

    with pytest.raises(TypeError, match="waits"):
        Route("/v1/anything", waits, methods=["POST"])


def test_the_document_names_every_live_route_and_no_other():
    live = {
        (str(context.path_format), method)
        for context in iter_route_contexts(APP.routes)
        for method in set(context.methods or ()) - {"HEAD"}
    }
    documented = {(path, method.upper()) for path, item in APP.openapi()["paths"].items() for method in item}
    assert {each for each in live if each[0].startswith("/v1/")} == {
        each for each in documented if each[0].startswith("/v1/")
    }
    assert documented <= live
    assert {path for path, _ in live - documented} == FOR_PEOPLE

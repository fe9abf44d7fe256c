"""What every route below ``/v1`` shares: rate limits, ``fields=``, one answer for one ``Idempotency-Key``.

``APIRouter(route_class=Route, ...)`` is all a module needs. The answer is made inside the transaction of the effects,
so that it is kept with them (docs/adr/0019).
"""

import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from fastapi.routing import APIRoute

from adapters.postgres import idempotency
from adapters.postgres.engine import Unavailable
from adapters.postgres.idempotency import InFlight, KeptAnswer, KeyOfAnother
from domain.identity import subject_key
from serving import metrics
from serving.admission import Admission, Lane, Overloaded
from serving.http.afterwards import do_all, held
from serving.http.auth import Caller, PartsOf, Required
from serving.http.errors import FieldError, Refused, failed, request_id, respond
from serving.http.fields import Fields, narrowed, reads_json
from serving.http.problem_codes import Severity, declared
from serving.http.rate_limit import RateLimited
from serving.parts import Parts

UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
REPLAYED = "Idempotent-Replayed"
KEY_REUSED = declared("request.key_reused", 422, "The Idempotency-Key stands for another request.")
KEY_IN_FLIGHT = declared(
    "request.key_in_flight",
    409,
    "A request with this Idempotency-Key is being done right now.",
    is_retryable=True,
    severity=Severity.INFO,
)
OVERLOADED = declared(
    "service.overloaded",
    503,
    "More to do than can be done; batches are sent away first, opt-outs never. See Retry-After.",
    is_retryable=True,
    severity=Severity.ERROR,
)
_NOT_KEPT = frozenset({400, 422})
"""What was refused for its form did nothing: corrected, it may come again under the same key."""

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Printable ASCII. The same key and request are done once, and answered alike for 24 hours.",
    ),
]


def in_lane(lane: Lane) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare how urgent a route is when there is more to do than can be done; without it, it is standard.

    ``Lane.NEVER_SHED`` is for what hands messages over. What is ``never_limited``, which lets people opt out, has it.
    """

    def declare(endpoint: Callable[..., Any]) -> Callable[..., Any]:
        endpoint.lane = lane  # type: ignore[attr-defined]
        return endpoint

    return declare


def lane_of(endpoint: Callable[..., Any]) -> Lane:
    """Return how urgent a route is."""
    usual = Lane.NEVER_SHED if hasattr(endpoint, "is_never_limited") else Lane.STANDARD
    lane: Lane = getattr(endpoint, "lane", usual)
    return lane


def own_key(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Declare that a route gives the ``Idempotency-Key`` a meaning of its own."""
    endpoint.has_own_key = True  # type: ignore[attr-defined]
    return endpoint


@dataclass(frozen=True)
class Attempt:
    """One request at an unsafe route, as far as its idempotency goes."""

    request: Request
    parts: Parts
    key: str | None

    def named(self, caller: Caller, key: str) -> idempotency.Request:
        """Return what names this request, and the content that must be the same under one key."""
        scope = self.request.scope
        content = (
            scope.get("raw_path") or scope["path"].encode(),
            scope["query_string"],
            self.request.headers.get("if-match", "").encode(),
            getattr(self.request.state, "body_digest", b""),
        )
        framed = b"".join(len(part).to_bytes(4) + part for part in content)
        route = f"{self.request.method} {scope['route'].path}"
        whose = scope["path_params"].get("recipient_id")
        subject = subject_key(caller.tenant.subject_secret, whose) if whose is not None else None
        return idempotency.Request(caller.tenant.tenant, caller.actor, route, key, framed, subject)


def attempt(request: Request, parts: PartsOf, key: IdempotencyKey = None) -> Attempt:
    """Return what is known of a request before its handler: a dependency of every unsafe route."""
    return Attempt(request, parts, key)


class Route(APIRoute):
    """A route of ours; see the module."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        methods = options.get("methods") or ()
        declared = options.get("dependencies") or ()
        asked = [Annotated[Any, each] for each in declared if isinstance(each.dependency, Required)]
        if (caller := inspect.signature(endpoint).parameters.get("caller")) is not None:
            asked.append(caller.annotation)
        if asked and not hasattr(endpoint, "is_never_limited"):
            # Before the route's own, which read the body.
            options["dependencies"] = [Depends(RateLimited(asked[0])), *declared]
        self._is_narrowed = "GET" in methods and reads_json(answer := inspect.signature(endpoint).return_annotation)
        if self._is_narrowed:
            # Behind them, so that who may not ask is told nothing about names.
            options["dependencies"] = [*options.get("dependencies", ()), Depends(Fields(answer))]
        if UNSAFE.intersection(methods) and not hasattr(endpoint, "has_own_key"):
            endpoint = self._once(endpoint)
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request, with the part of the answer that ``fields=`` asks for."""
        handler, lane = super().get_route_handler(), lane_of(self.endpoint)

        async def admitted(request: Request) -> Response:
            admission: Admission = request.app.state.parts.admission
            try:
                async with admission.place(lane):
                    return await handler(request)
            except Overloaded:
                detail = "There is too much to do; this request was sent away before anything was done."
                raise Refused(OVERLOADED, detail, headers={"Retry-After": "1"}) from None

        async def narrowing(request: Request) -> Response:
            return narrowed(await admitted(request), request)

        return narrowing if self._is_narrowed else admitted

    def _once(self, endpoint: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(endpoint):
            raise TypeError(f"{endpoint.__name__}: an unsafe route waits for a store, so it is no coroutine")

        @functools.wraps(endpoint)
        def done_once(*, idempotent_attempt: Attempt, **values: Any) -> Any:
            if idempotent_attempt.key is None:
                return endpoint(**values)
            return self._perform(idempotent_attempt, idempotent_attempt.key, endpoint, values)

        given = inspect.signature(endpoint)
        added = inspect.Parameter(
            "idempotent_attempt", inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[Attempt, Depends(attempt)]
        )
        done_once.__signature__ = given.replace(parameters=[*given.parameters.values(), added])  # type: ignore[attr-defined]
        done_once.is_done_once = True  # type: ignore[attr-defined]
        return done_once

    def _perform(self, asked: Attempt, key: str, endpoint: Callable[..., Any], values: dict[str, Any]) -> Response:
        records = asked.parts.idempotency
        try:
            with held() as deeds, records.claim(asked.named(values["caller"], key)) as claim:
                if claim.kept is not None:
                    metrics.IDEMPOTENT.labels("replayed").inc()
                    return _again(claim.kept)
                try:
                    with claim.effects():
                        answer, raised = self._answer(asked, endpoint, values)
                except Unavailable:
                    raise
                except Exception as error:  # noqa: BLE001 - kept as the 500 it will be answered with, then raised
                    answer, raised = _kept(failed(request_id(asked.request))), error
                if answer is not None:
                    claim.keep(answer)
        except InFlight:
            raise Refused(KEY_IN_FLIGHT, "The same request is being done; ask again.", headers=_SOON) from None
        except KeyOfAnother:
            problem = FieldError(field="Idempotency-Key", expected="a key that was not used for another request")
            raise Refused(KEY_REUSED, "This key stands for another request.", errors=[problem]) from None
        metrics.IDEMPOTENT.labels("done").inc()
        if raised is not None:
            raise raised
        do_all(deeds)
        return _first(answer)

    def _answer(
        self, asked: Attempt, endpoint: Callable[..., Any], values: dict[str, Any]
    ) -> tuple[KeptAnswer | None, Exception | None]:
        """Do it; return what to keep, if anything, and what to raise once it is kept."""
        try:
            result = endpoint(**values)
        except Refused as refused:
            is_kept = refused.status not in _NOT_KEPT and not refused.kind.is_retryable
            return (_kept(respond(refused, request_id(asked.request))) if is_kept else None), refused
        return self._rendered(result, values), None

    def _rendered(self, result: Any, values: Mapping[str, Any]) -> KeptAnswer:
        """Return the bytes FastAPI would have made of a handler's result."""
        if isinstance(result, Response):
            return _kept(result)
        beside = next((value for value in values.values() if isinstance(value, Response)), None)
        headers = dict(beside.headers) if beside is not None else {}
        body = b""
        if self.response_field is not None:
            value, errors = self.response_field.validate(result, {}, loc=("response",))
            if errors:
                raise TypeError(f"{self.name} answered what it does not declare")
            body = self.response_field.serialize_json(
                value, by_alias=self.response_model_by_alias, exclude_none=self.response_model_exclude_none
            )
            headers["content-type"] = "application/json"
        status = (beside.status_code if beside is not None else None) or self.status_code or 200
        return KeptAnswer(status, headers, body)


def _kept(response: Response) -> KeptAnswer:
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    return KeptAnswer(response.status_code, headers, bytes(response.body))


def _first(answer: KeptAnswer | None) -> Response:
    if answer is None:
        raise RuntimeError("an answer that is not kept was raised")
    return Response(answer.body, answer.status, dict(answer.headers))


def _again(answer: KeptAnswer) -> Response:
    return Response(answer.body, answer.status, {**answer.headers, REPLAYED: "true"})


_SOON = {"Retry-After": "1"}

"""``/v1/content-source`` and ``/v1/content``: where a tenant's content system is, and the texts it has."""

import re
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field, SecretStr, StringConstraints

from adapters.cms import MAX_IDS, CmsUnavailable, Cursor, TooLong, question
from adapters.postgres.content_sources import ContentSource, NoSource
from domain import outside
from domain.content_blocks import Label, SourceText
from domain.events import Name
from domain.outside import MAX_URL, Forbidden
from domain.values import Frozen
from serving.admission import Lane
from serving.at_once import TooManyAtOnce
from serving.breakers import Open
from serving.http.afterwards import afterwards
from serving.http.auth import Caller, PartsOf, permission
from serving.http.errors import FieldError, ProblemCode, Refused, problems
from serving.http.problem_codes import declared
from serving.http.rate_limit import too_many_at_once
from serving.http.routes import Route, in_lane
from serving.http.strict_body import body_of

router = APIRouter(route_class=Route, tags=["message types"])
UNAVAILABLE = declared(
    "content.unavailable",
    424,
    "The tenant's content system gave no usable answer.",
    is_retryable=True,
)
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}")
Reader = Annotated[Caller, permission("types:read")]
Writer = Annotated[Caller, permission("content_source:write")]


class NewContentSource(Frozen):
    """Where the texts are, and what opens them."""

    url: Annotated[str, StringConstraints(min_length=1, max_length=MAX_URL)] = Field(
        description="Of the list of content: https, at a public host; without user name or fragment."
    )
    key: Annotated[SecretStr, Field(min_length=1, max_length=1_000)] = Field(
        description="Bearer token; kept sealed, sent to this URL only, and never shown."
    )
    types: tuple[Name, ...] = Field(
        default=(), max_length=100, description="Message types whose texts are used; empty for all."
    )


class ContentPage(Frozen):
    """Some texts of the content system, in its order."""

    items: tuple[SourceText, ...]
    next_page: str | None = Field(description="What to ask with for the next; null after the last.")


@router.put("/v1/content-source", summary="Set the content source")
def put_content_source(
    caller: Writer, body: Annotated[NewContentSource, body_of(NewContentSource)], parts: PartsOf
) -> ContentSource:
    """Set where this tenant's texts are; what was kept of another source is forgotten."""
    try:
        outside.parse(body.url, allow_loopback=parts.settings.egress_allow_loopback)
    except Forbidden as error:
        problem = FieldError(field="url", expected=str(error))
        raise Refused(ProblemCode.INVALID, "Nothing is asked of such a URL.", errors=[problem]) from None
    key = body.key.get_secret_value()
    made = parts.content_sources.put(caller.tenant, url=body.url, key=key, types=body.types, actor=caller.actor)
    afterwards(lambda: parts.content_texts.forget(caller.tenant.tenant))
    return made


@router.get("/v1/content-source", summary="Read the content source", responses=problems(404))
def get_content_source(caller: Reader, parts: PartsOf) -> ContentSource:
    """Return where this tenant's texts are, never the key."""
    try:
        return parts.content_sources.get(caller.tenant)
    except NoSource:
        raise _none() from None


@router.delete("/v1/content-source", status_code=204, summary="Delete the content source", responses=problems(404))
def delete_content_source(caller: Writer, parts: PartsOf) -> None:
    """Forget the source; slots that name its texts say their defaults from now on."""
    try:
        parts.content_sources.delete(caller.tenant, actor=caller.actor)
    except NoSource:
        raise _none() from None
    afterwards(lambda: parts.content_texts.forget(caller.tenant.tenant))


@router.get("/v1/content", summary="List texts of the content system", responses=problems(404, 424))
@in_lane(Lane.BATCH)
def get_content(
    caller: Reader,
    parts: PartsOf,
    message_type: Annotated[Name | None, Query(alias="type")] = None,
    segment: Annotated[Label | None, Query()] = None,
    ids: Annotated[str | None, Query(description=f"At most {MAX_IDS}, separated by commas.", max_length=5_100)] = None,
    category: Annotated[Label | None, Query()] = None,
    page: Annotated[Cursor | None, Query(description="`next_page` of the answer before.")] = None,
) -> ContentPage:
    """Return a page of what the content system answers, at most 100 texts; kept answers are given again for a while."""
    try:
        asked = question(message_type=message_type, segment=segment, ids=_ids(ids), category=category)
    except ValueError as error:
        problem = FieldError(field="ids", expected=str(error))
        raise Refused(ProblemCode.INVALID, "These ids cannot be asked for.", errors=[problem]) from None
    try:
        found = parts.content_texts.page(caller.tenant.tenant, asked, page)
    except TooLong:
        raise _too_long(asked if page is None else {**asked, "page": page}) from None
    except TooManyAtOnce as error:
        raise too_many_at_once(error) from None
    except (CmsUnavailable, Open) as error:
        raise Refused(UNAVAILABLE, f"No texts could be had: {error}.") from None
    if found is None:
        raise _none()
    return ContentPage(items=found.items, next_page=found.next)


def _ids(given: str | None) -> list[str]:
    ids = given.split(",") if given is not None else []
    if any(_LABEL.fullmatch(each) is None for each in ids):
        raise ValueError("expected ids of letters, digits, _, ., : and -, separated by commas")
    return ids


def _too_long(asked: Mapping[str, str]) -> Refused:
    longest = max(asked, key=lambda name: len(asked[name]))
    expected = f"a shorter value: the source's URL with the whole question has at most {MAX_URL} characters"
    problem = FieldError(field=longest, expected=expected)
    return Refused(ProblemCode.INVALID, "So much cannot be asked for at a time.", errors=[problem])


def _none() -> Refused:
    return Refused(ProblemCode.NOT_FOUND, "This tenant has no content source.")

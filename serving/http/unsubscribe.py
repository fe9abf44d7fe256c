"""``/u/{token}``: one-click unsubscribe (RFC 8058). A POST acts; looking at the page changes nothing.

Whether a token is known cannot be told from the answer: neither its status nor a byte of it differs.
"""

from collections.abc import Mapping
from email.parser import BytesParser
from email.policy import HTTP
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Request, Response

from adapters.postgres.tenants import UnknownTenant
from domain.consent import ConsentChange, ConsentStatus
from domain.one_click import FIELD, VALUE
from serving.http.auth import PartsOf, public

router = APIRouter(include_in_schema=False, dependencies=[Depends(public)])
MAX_BODY_BYTES = 10_000
ACTOR = "recipient"
SOURCE = "one_click"

_HEADERS = {"Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'"}
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="robots" content="noindex"><title>Unsubscribe</title></head>
<body><main><h1>Unsubscribe</h1>{body}</main></body></html>
"""
_ASK = _PAGE.format(
    body=f'<form method="post"><input type="hidden" name="{FIELD}" value="{VALUE}"><button>Unsubscribe</button></form>'
)
_DONE = _PAGE.format(body="<p>You are unsubscribed. It takes effect at once.</p>")
_BAD = _PAGE.format(body="<p>Nothing was changed: this request does not ask to unsubscribe.</p>")


async def _asks(request: Request) -> bool:
    """Tell whether the body is exactly what RFC 8058 prescribes, as either kind of form."""
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_BODY_BYTES:
            return False
    kind = request.headers.get("content-type", "")
    if kind.lower().startswith("multipart/form-data"):
        return _parts(kind, raw) == [(FIELD, VALUE)]
    return parse_qs(raw.decode("latin-1"), keep_blank_values=True) == {FIELD: [VALUE]}


def _parts(kind: str, raw: bytes) -> list[tuple[str, str]]:
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + kind.encode("latin-1") + b"\r\n\r\n" + raw)
    if not message.is_multipart():
        return []
    parts = [part for part in message.iter_parts() if part.get_content_maintype() == "text"]
    return [
        (str(part.get_param("name", header="content-disposition")), str(part.get_content()).strip()) for part in parts
    ]


@router.api_route("/u/{token}", methods=["GET", "HEAD"])
def show(token: str) -> Response:  # noqa: ARG001 - the same page for every token
    """Return the page with the button; nothing is read or changed."""
    return _page(_ASK)


@router.post("/u/{token}")
def unsubscribe(request: Request, token: str, asks: Annotated[bool, Depends(_asks)], parts: PartsOf) -> Response:
    """Withdraw what the token stands for, once."""
    if not asks:
        return _page(_BAD, 400)
    _withdraw(token, parts, request.headers)
    return _page(_DONE)


def _withdraw(token: str, parts: PartsOf, headers: Mapping[str, str]) -> None:
    grant = parts.unsubscribe_links.open(token)
    if grant is None:
        return
    try:
        tenant = parts.tenants.get(grant.tenant)
    except UnknownTenant:
        return
    now = parts.clock.now(tenant)
    if grant.is_over(now):
        return
    change = ConsentChange(
        purpose=grant.purpose,
        channel=grant.channel,
        status=ConsentStatus.WITHDRAWN,
        source=SOURCE,
        proof={"issued_at": grant.issued_at.isoformat()},
    )
    parts.consents.withdraw_once(tenant, grant.recipient_id, change, actor=ACTOR, now=now)
    parts.opt_out_signals.heed(tenant, grant.recipient_id, headers, actor=ACTOR, now=now)


def _page(text: str, status: int = 200) -> Response:
    return Response(text, status, _HEADERS, media_type="text/html")

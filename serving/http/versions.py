"""Documents in versions over HTTP: the version is the ``ETag``, and ``If-Match`` names the one a caller saw.

Shared by everything that ``adapters.postgres.versioned_documents`` keeps.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Header, Response

from adapters.postgres.versioned_documents import DocumentChanged
from serving.http.errors import FieldError, Refused

IfMatch = Annotated[str | None, Header(alias="If-Match", pattern=r'^"\d{1,9}"$', description="The ETag you saw.")]


def seen(if_match: str | None) -> int | None:
    """Return the version that a caller saw, or None when they did not say."""
    return int(if_match.strip('"')) if if_match is not None else None


def tag(response: Response, version: int) -> None:
    """Give the answer the version as its ``ETag``."""
    response.headers["ETag"] = f'"{version}"'


@contextmanager
def refusing(code: str, what: str) -> Iterator[None]:
    """Refuse with 412 when the document has changed since the caller saw it.

    Args:
        code: the subject's own code for it.
        what: the document in a word or two.
    """
    try:
        yield
    except DocumentChanged:
        problem = FieldError(field="If-Match", expected=f"the {what}'s present ETag")
        raise Refused(code, f"The {what} has changed since you read it.", errors=[problem]) from None

"""``/v1/recipients/{id}/merge``: two ids turn out to be one person; of everything the stricter holds from then on."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field, StringConstraints

from adapters.postgres.merges import CannotMerge, IsAlias, Merged, SameRecipient
from adapters.postgres.preferences import NotAllowed
from domain.events import Identifier
from domain.values import Frozen
from serving.http.auth import Caller, PartsOf, permission
from serving.http.errors import FieldError, Refused, problems
from serving.http.problem_codes import declared
from serving.http.recipients import PREFIX, NamedRecipient
from serving.http.routes import Route
from serving.http.strict_body import body_of

router = APIRouter(route_class=Route, tags=["privacy"])
SAME = declared("merge.same_recipient", 409, "Both ids stand for the same recipient already.")
ALIAS = declared("merge.is_alias", 409, "One of the ids was merged into another recipient before.")
GONE = declared("merge.deleted", 409, "One of the recipients was deleted or erased.")
TOO_MANY = declared("merge.too_many_preferences", 409, "Together they have more preferences than one recipient may.")
Ground = Annotated[str, StringConstraints(min_length=3, max_length=200)]


class MergeRequest(Frozen):
    """Who is the same person, and how that is known."""

    other: Identifier = Field(description="The id that becomes an alias of the one in the address.")
    reason: Ground = Field(description="How it is known that they are one person; audited. It names nobody.")


@router.post(PREFIX + "/merge", summary="Merge another id of the same person", responses=problems(409))
def post_merge(
    caller: Annotated[Caller, permission("privacy:write")],
    recipient_id: NamedRecipient,
    body: Annotated[MergeRequest, body_of(MergeRequest)],
    parts: PartsOf,
) -> Merged:
    """Give the recipient the stricter of everything both ids said, and let the other id stand for them. No way back."""
    now = parts.clock.now(caller.tenant)
    try:
        return parts.merges.merge(
            caller.tenant, recipient_id, body.other, reason=body.reason, actor=caller.actor, now=now
        )
    except SameRecipient:
        raise _refused(SAME, "other", "the id of another recipient") from None
    except IsAlias:
        raise _refused(ALIAS, "other", "two ids that nobody was merged into; merge those they stand for") from None
    except CannotMerge:
        raise _refused(GONE, "other", "two recipients who were not deleted") from None
    except NotAllowed:
        raise _refused(TOO_MANY, "other", "ids whose preferences fit one recipient; delete some first") from None


def _refused(code: str, field: str, expected: str) -> Refused:
    problem = FieldError(field=field, expected=expected)
    return Refused(code, f"Nothing was merged: this needs {expected}.", errors=[problem])

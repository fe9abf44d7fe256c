"""The contact budget: a tenant's rules on how often anybody is contacted, and how they stand for one recipient."""

from typing import Annotated

from fastapi import APIRouter, Response

from adapters.postgres.versioned_documents import Published
from domain.contact_budget import ContactBudget, Standing
from domain.values import Frozen
from serving.http.auth import Caller, PartsOf, permission
from serving.http.conditional import conditional
from serving.http.errors import problems
from serving.http.problem_codes import declared
from serving.http.recipients import PREFIX, RecipientId
from serving.http.routes import Route
from serving.http.strict_body import body_of
from serving.http.versions import IfMatch, refusing, seen, tag

router = APIRouter(route_class=Route, tags=["contact budget"])
VERSION_CONFLICT = declared(
    "contact_budget.version_conflict", 412, "The contact budget has changed since the version you saw."
)


class PublishedBudget(Frozen):
    """A tenant's contact budget in one of its versions; version 0 is what Kairos ships with."""

    version: int
    budget: ContactBudget


class Standings(Frozen):
    """Every rule that counts a recipient's contacts, and how much of it is used up."""

    rules: tuple[Standing, ...]


@router.get("/v1/admin/contact-budget", summary="Read the contact budget")
@conditional
def get_contact_budget(
    caller: Annotated[Caller, permission("types:read")], parts: PartsOf, response: Response
) -> PublishedBudget:
    """Return the rules in force; version 0 is what Kairos ships with. The version is the `ETag` too."""
    return _tagged(parts.contact_budgets.get(caller.tenant), response)


@router.put("/v1/admin/contact-budget", summary="Publish the contact budget", responses=problems(412))
def put_contact_budget(
    caller: Annotated[Caller, permission("contact_budget:write")],
    body: Annotated[ContactBudget, body_of(ContactBudget)],
    parts: PartsOf,
    response: Response,
    if_match: IfMatch = None,
) -> PublishedBudget:
    """Put rules in force for every decision from now on, in place of all rules before; an equal set is no new version.

    What was sent before counts under the new rules too.
    """
    with refusing(VERSION_CONFLICT, "contact budget"):
        published = parts.contact_budgets.publish(caller.tenant, body, actor=caller.actor, if_version=seen(if_match))
    return _tagged(published, response)


@router.get(PREFIX + "/contact-budget", summary="Read what is spent on a recipient")
def get_standings(
    caller: Annotated[Caller, permission("decisions:read")], recipient_id: RecipientId, parts: PartsOf
) -> Standings:
    """Return how often the recipient was contacted in the present window of each rule, and when there is room again."""
    now = parts.clock.now(caller.tenant)
    found = parts.contact_ledger.standings(caller.tenant, recipient_id, actor=caller.actor, now=now)
    return Standings(rules=found)


def _tagged(published: Published[ContactBudget], response: Response) -> PublishedBudget:
    tag(response, published.version)
    return PublishedBudget(version=published.version, budget=published.document)

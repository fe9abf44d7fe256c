"""``/v1/types/{type}/variants``: variants that a generator proposes, and who lets them into the type."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from prometheus_client import Counter
from pydantic import Field

from adapters.postgres.variant_proposals import AlreadyDecided, Proposal, TooManyWaiting, UnknownProposal
from adapters.text_reader import TextReader
from adapters.variant_writer import WriterUnavailable
from domain import generation, proposals
from domain.events import Name
from domain.generation import COMBINATOR, MAX_CANDIDATES, Combinator, Generator, NotApprovable, State
from domain.message_types import Variant
from domain.proposals import TooLarge
from domain.slots import MAX_GENERATED_SHARE, Slots
from domain.values import Frozen
from serving.admission import Lane
from serving.at_once import TooManyAtOnce
from serving.breakers import Open
from serving.http.auth import Caller, PartsOf, permission
from serving.http.cursors import NextCursor, PageOf
from serving.http.errors import FieldError, ProblemCode, Refused, problems
from serving.http.problem_codes import declared
from serving.http.rate_limit import too_many_at_once
from serving.http.routes import Route, in_lane
from serving.http.strict_body import body_of
from serving.parts import Parts

router = APIRouter(route_class=Route, prefix="/v1/types/{type}/variants", tags=["message types"])
OFF = declared("generator.off", 409, "This installation has no generator of this name.")
UNAVAILABLE = declared(
    "generator.unavailable",
    424,
    "The generator gave no usable answer.",
    is_retryable=True,
)
TOO_MANY = declared("proposal.too_many", 409, "As many proposals of the type wait as may; decide about some first.")
DECIDED = declared("proposal.decided", 409, "The proposal was approved or rejected before.")
NOT_APPROVABLE = declared("proposal.not_approvable", 409, "Lint finds an error in it, or it does not fit the type now.")
_PROPOSALS = Counter("kairos_variant_proposals", "Proposed variants, by what became of them.", ("generator", "state"))
Reader = Annotated[Caller, permission("types:read")]
Writer = Annotated[Caller, permission("types:write")]
Approver = Annotated[Caller, permission("types:approve")]
TypeName = Annotated[Name, Path(alias="type")]
ProposalId = Annotated[str, Path(pattern=r"^vprop_[0-9a-f]{20}$")]


class GenerationRequest(Frozen):
    """What to propose."""

    generator: str = Field(
        default=COMBINATOR, pattern=r"^[a-z]{1,20}$", description="combinator, or writer where the operator has one."
    )
    most: int = Field(default=10, ge=1, le=MAX_CANDIDATES, description="Candidates at most.")
    traffic_share: float = Field(
        default=0.05,
        gt=0,
        le=MAX_GENERATED_SHARE,
        description="Most of the draws that each may get.",
    )
    slots: Slots | None = Field(default=None, description="Options to combine; by default what the variants say.")


class RefusedVariant(Frozen):
    """A variant that nobody could approve."""

    variant: Variant
    errors: tuple[str, ...] = Field(description="What lint found, the first 20.")


class Proposals(Frozen):
    """What was proposed now; nothing of it is in traffic."""

    proposals: list[Proposal]
    refused: list[RefusedVariant] = Field(description="What lint found errors in; it is kept nowhere.")


class ProposalList(Frozen):
    """Proposals of a type, newest first."""

    proposals: list[Proposal]
    next_cursor: NextCursor


@router.post(
    "/generate", status_code=201, summary="Have variants of a type proposed", responses=problems(404, 409, 424)
)
@in_lane(Lane.BATCH)
def generate_variants(
    caller: Writer, type_name: TypeName, body: Annotated[GenerationRequest, body_of(GenerationRequest)], parts: PartsOf
) -> Proposals:
    """Have a generator propose variants, linted with the brand rules; who may approve lets each into the type, or not.

    What says the same as a variant of the type, or as another that waits, is left out. What lint refuses is only told.
    """
    standing = parts.variant_proposals.standing(caller.tenant, type_name)
    if standing is None:
        raise _unknown_type()
    definition, brand = standing
    brief = proposals.brief_of(definition, most=MAX_CANDIDATES, slots=body.slots)
    found = _asked(
        parts,
        caller.tenant.tenant,
        body.generator,
        lambda generator: generation.propose(
            generator,
            brief if body.generator == COMBINATOR else brief.model_copy(update={"most": body.most}),
            errors_of=lambda variant: proposals.errors_of(definition, variant, brand, TextReader()),
            chosen=lambda made: proposals.fresh(made, definition.variants, most=body.most),
            traffic_share=body.traffic_share,
        ),
    )
    passed, refused = ([each for each in found if bool(each.errors) is wrong] for wrong in (False, True))
    try:
        kept = parts.variant_proposals.add(caller.tenant, type_name, passed, actor=caller.actor)
    except TooManyWaiting as error:
        raise Refused(TOO_MANY, f"There is no room for these: {error}.") from None
    _PROPOSALS.labels(body.generator, State.PROPOSED.value).inc(len(kept))
    _PROPOSALS.labels(body.generator, State.REFUSED.value).inc(len(refused))
    told = [RefusedVariant(variant=each.variant, errors=each.errors) for each in refused]
    return Proposals(proposals=kept, refused=told)


@router.get("/proposals", summary="List the proposals of a type")
def get_proposals(
    caller: Reader,
    type_name: TypeName,
    parts: PartsOf,
    page: PageOf,
    state: State | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> ProposalList:
    """Return what was proposed and what became of it, newest first."""
    before = page.place(caller, tuple[datetime, str])
    found = parts.variant_proposals.listed(caller.tenant, type_name, state=state, before=before, limit=limit)
    following = page.following(caller, found, limit, lambda each: (each.proposed_at, each.proposal_id))
    return ProposalList(proposals=found, next_cursor=following)


@router.post("/proposals/{proposal_id}/approve", summary="Let a proposal into its type", responses=problems(404, 409))
def approve_proposal(caller: Approver, type_name: TypeName, proposal_id: ProposalId, parts: PartsOf) -> Proposal:
    """Publish a new version of the type with this variant, which gets at most its share of the draws."""
    return _decided(
        lambda: parts.variant_proposals.approve(
            caller.tenant, type_name, proposal_id, actor=caller.actor, now=parts.clock.real()
        )
    )


@router.post("/proposals/{proposal_id}/reject", summary="Turn a proposal down", responses=problems(404, 409))
def reject_proposal(caller: Approver, type_name: TypeName, proposal_id: ProposalId, parts: PartsOf) -> Proposal:
    """Let a proposal never enter its type; it stays in the list."""
    return _decided(
        lambda: parts.variant_proposals.reject(
            caller.tenant, type_name, proposal_id, actor=caller.actor, now=parts.clock.real()
        )
    )


def _asked(
    parts: Parts, tenant: str, name: str, propose: Callable[[Generator], list[generation.Candidate]]
) -> list[generation.Candidate]:
    if name == COMBINATOR:
        try:
            return propose(Combinator())
        except TooLarge as error:
            problem = FieldError(field="slots", expected=str(error))
            raise Refused(ProblemCode.INVALID, "The combinations are too large.", errors=[problem]) from None
    writer = parts.variant_writer
    if writer is None or name != writer.name:
        raise Refused(OFF, "There is no such generator here; the operator sets one up.")
    try:
        with parts.writer_places.place(tenant), parts.writer_breaker.calling():
            return propose(writer)
    except TooManyAtOnce as error:
        raise too_many_at_once(error) from None
    except (WriterUnavailable, Open, TooLarge) as error:
        _PROPOSALS.labels(name, "unavailable").inc()
        raise Refused(UNAVAILABLE, f"Nothing was proposed: {error}.") from None


def _decided(decide: Callable[[], Proposal]) -> Proposal:
    try:
        made = decide()
    except UnknownProposal:
        raise Refused(ProblemCode.NOT_FOUND, "This type has no such proposal.") from None
    except AlreadyDecided as error:
        raise Refused(DECIDED, f"Nothing was done: {error}.") from None
    except NotApprovable as error:
        raise Refused(NOT_APPROVABLE, f"Nothing was published: {error}.") from None
    generated = made.variant.generated
    _PROPOSALS.labels(generated.by if generated is not None else COMBINATOR, made.state.value).inc()
    return made


def _unknown_type() -> Refused:
    return Refused(ProblemCode.NOT_FOUND, "This tenant has published no such message type.")

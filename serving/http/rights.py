"""What a person may demand besides a copy and erasure: correction, objection, explanation and a human's review."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Path, Query
from pydantic import Field, StringConstraints, model_validator

from adapters.postgres.contests import AlreadyReviewed, Contest, UnknownContest, UnknownDecision, Verdict
from adapters.postgres.profiles import UnknownRecipient, VersionConflict
from adapters.postgres.rectifications import Rectified
from adapters.postgres.subject_keys import KeyDestroyed
from domain.addresses import MAX_ADDRESS, BadAddress
from domain.attribute_schemas import AttributesRefused
from domain.consent import Text
from domain.explanations import explain
from domain.objections import Objection, ObjectionKind
from domain.profiles import ProfilePatch
from domain.values import Channel, Frozen, Moment, Outcome, Reason
from serving.http.attribute_schema import refused_attributes
from serving.http.auth import Caller, PartsOf, permission
from serving.http.cursors import NextCursor, PageOf
from serving.http.decisions import DecisionId
from serving.http.errors import FieldError, ProblemCode, Refused, problems
from serving.http.problem_codes import declared
from serving.http.rate_limit import never_limited
from serving.http.recipients import PREFIX, RecipientId
from serving.http.routes import Route
from serving.http.strict_body import body_of

router = APIRouter(route_class=Route, tags=["privacy"])
ANSWERED = declared("contest.answered", 409, "A human has answered; the answer is not changed.")
CHANGED_MEANWHILE = declared("rectification.conflict", 409, "The profile changed meanwhile.", is_retryable=True)
Statement = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
ContestId = Annotated[str, Path(max_length=64)]


class Rectification(Frozen):
    """What is corrected, and why."""

    profile: ProfilePatch | None = Field(default=None, description="Facts to change; absent ones stay, null removes.")
    addresses: dict[Channel, Annotated[str, StringConstraints(min_length=1, max_length=MAX_ADDRESS)]] = Field(
        default_factory=dict, description="The right address by channel; only its keyed hash is kept."
    )
    reason: Text

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.profile is None and not self.addresses:
            raise ValueError("must correct the profile, an address, or both")
        return self


class ObjectionRequest(Frozen):
    """What the person objects to; an empty object is marketing."""

    against: ObjectionKind = ObjectionKind.MARKETING
    source: Text = "api"


class ExplainedDecision(Frozen):
    """A decision in words."""

    decision_id: str
    decided_at: Moment
    message_type: str
    outcome: Outcome
    reason: Reason
    sentences: list[str]


class ExplainedDecisions(Frozen):
    """Decisions, newest first."""

    decisions: list[ExplainedDecision]
    next_cursor: NextCursor


class ContestRequest(Frozen):
    """What the person says against a decision."""

    statement: Statement
    source: Text = "api"


class Review(Frozen):
    """What a human found, and what the person is told."""

    verdict: Verdict
    answer: Statement


class ContestList(Frozen):
    """Contests that wait for a human, oldest first."""

    contests: list[Contest]
    next_cursor: NextCursor


@router.post(PREFIX + "/rectification", summary="Correct what is known", responses=problems(404, 409))
def post_rectification(
    caller: Annotated[Caller, permission("privacy:write")],
    recipient_id: RecipientId,
    body: Annotated[Rectification, body_of(Rectification)],
    parts: PartsOf,
) -> Rectified:
    """Correct facts and addresses together; the versions before and the reason stay in the history."""
    now = parts.clock.real()
    try:
        return parts.rectifications.correct(
            caller.tenant, recipient_id, body.profile, body.addresses, reason=body.reason, actor=caller.actor, now=now
        )
    except UnknownRecipient:
        raise Refused(ProblemCode.NOT_FOUND, "There is no profile of this recipient.") from None
    except AttributesRefused as error:
        raise refused_attributes(error, below="profile.") from None
    except VersionConflict:
        raise Refused(CHANGED_MEANWHILE, "The profile changed meanwhile; read it and correct it again.") from None
    except BadAddress as error:
        problem = FieldError(field="addresses", expected=str(error))
        raise Refused(ProblemCode.INVALID, "This is no address of the channel.", errors=[problem]) from None
    except ValueError:
        problem = FieldError(field="profile", expected="what leaves a profile of at most 64 attributes")
        raise Refused(
            ProblemCode.INVALID, "The correction would not leave a valid profile.", errors=[problem]
        ) from None


@router.post(PREFIX + "/objection", summary="Object to marketing or profiling")
@never_limited
def post_objection(
    caller: Annotated[Caller, permission("consents:write")],
    recipient_id: RecipientId,
    body: Annotated[ObjectionRequest, body_of(ObjectionRequest)],
    parts: PartsOf,
) -> Objection:
    """End marketing, or profiling, when this is answered; no import, later consent or operator takes it back."""
    now = parts.clock.now(caller.tenant)
    return parts.objections.record(
        caller.tenant, recipient_id, body.against, source=body.source, actor=caller.actor, now=now
    )


@router.get(PREFIX + "/decisions", summary="Explain the decisions about a recipient")
def get_recipient_decisions(
    caller: Annotated[Caller, permission("decisions:read")],
    recipient_id: RecipientId,
    parts: PartsOf,
    page: PageOf,
    before: Annotated[Moment | None, Query(description="Only decisions made before it.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ExplainedDecisions:
    """Return each decision about the recipient with its reasons in sentences, newest first."""
    after = page.place(caller, tuple[datetime, str])
    found = parts.decisions.of_recipient(
        caller.tenant, recipient_id, actor=caller.actor, before=before, after=after, limit=limit
    )
    following = page.following(caller, found, limit, lambda each: (each["decided_at"], each["decision_id"]))
    return ExplainedDecisions(
        decisions=[
            ExplainedDecision(
                decision_id=each["decision_id"],
                decided_at=each["decided_at"],
                message_type=each["message_type"],
                outcome=each["record"]["outcome"],
                reason=each["record"]["reason"],
                sentences=explain(each["record"]),
            )
            for each in found
        ],
        next_cursor=following,
    )


@router.post(
    "/v1/decisions/{decision_id}/contest", status_code=202, summary="Contest a decision", responses=problems(404)
)
def post_contest(
    caller: Annotated[Caller, permission("privacy:write")],
    decision_id: DecisionId,
    body: Annotated[ContestRequest, body_of(ContestRequest)],
    parts: PartsOf,
) -> Contest:
    """Record that the person wants a human to look at a decision; `GET /v1/contests` lists what waits."""
    try:
        return parts.contests.open(
            caller.tenant, decision_id, statement=body.statement, source=body.source, actor=caller.actor
        )
    except (UnknownDecision, KeyDestroyed):
        raise Refused(ProblemCode.NOT_FOUND, "There is no decision with this id.") from None


@router.get("/v1/contests", summary="List contests that wait for a human")
def get_contests(
    caller: Annotated[Caller, permission("privacy:read")],
    parts: PartsOf,
    page: PageOf,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ContestList:
    """Return contests nobody has answered, oldest first."""
    after = page.place(caller, tuple[datetime, str])
    found = parts.contests.waiting(caller.tenant, actor=caller.actor, after=after, limit=limit)
    following = page.following(caller, found, limit, lambda each: (each.recorded_at, each.contest_id))
    return ContestList(contests=found, next_cursor=following)


@router.get("/v1/contests/{contest_id}", summary="Read a contest", responses=problems(404))
def get_contest(
    caller: Annotated[Caller, permission("privacy:read")], contest_id: ContestId, parts: PartsOf
) -> Contest:
    """Return what the person said and what a human answered."""
    try:
        return parts.contests.get(caller.tenant, contest_id, actor=caller.actor)
    except UnknownContest:
        raise _no_contest() from None


@router.post("/v1/contests/{contest_id}/review", summary="Answer a contest", responses=problems(404, 409))
def post_review(
    caller: Annotated[Caller, permission("privacy:write")],
    contest_id: ContestId,
    body: Annotated[Review, body_of(Review)],
    parts: PartsOf,
) -> Contest:
    """Note what a human found, and what the person is told; the decision's record itself is never changed."""
    try:
        return parts.contests.review(
            caller.tenant, contest_id, verdict=body.verdict, answer=body.answer, actor=caller.actor
        )
    except (UnknownContest, KeyDestroyed):
        raise _no_contest() from None
    except AlreadyReviewed:
        raise Refused(ANSWERED, "This contest was answered.") from None


def _no_contest() -> Refused:
    return Refused(ProblemCode.NOT_FOUND, "There is no such contest.")

"""``POST /v1/decisions/batch``: up to 1,000 decisions in one request, each with its own verdict.

They are read in one go and recorded in one commit; what cannot be decided spoils nothing for the others.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import Field, TypeAdapter, ValidationError

from adapters.postgres.decision_rows import Recorded
from domain.decision_record import DecisionAnswer
from domain.decision_request import DecisionRequest
from domain.decision_request import IdempotencyKey as ItemKey
from domain.identity import decision_id
from domain.values import Frozen
from serving import decision_metrics
from serving.admission import Lane
from serving.asks import Ask
from serving.decide import new_id
from serving.http.auth import Caller, PartsOf, permission
from serving.http.decision_requests import read_request, refusal_of
from serving.http.errors import FieldError, ProblemCode, Refused, problems
from serving.http.routes import IdempotencyKey, Route, in_lane, own_key
from serving.http.strict_body import BodyIs, Document
from serving.parts import Parts

router = APIRouter(route_class=Route, tags=["decisions"])
MAX_BATCH = 1_000


class BatchItem(Frozen):
    """One request, and the key that makes it stand for one decision."""

    idempotency_key: ItemKey | None = Field(
        default=None, description="As the header of a single request; without one, the batch's key and the position."
    )
    request: DecisionRequest


class DecisionBatch(Frozen):
    """Several requests for decisions in one."""

    decisions: Annotated[list[BatchItem], Field(min_length=1, max_length=MAX_BATCH)]


class ItemProblem(Frozen):
    """Why nothing was decided about one item."""

    code: str = Field(description="Stable; the same as a single request would be refused with.")
    detail: str
    errors: tuple[FieldError, ...] = Field(default=(), description="Every field at fault, up to 20.")


class DecisionVerdict(Frozen):
    """What became of one item."""

    position: int = Field(description="The item's place in the request, from 0.")
    verdict: Literal["decided", "refused"]
    decision: DecisionAnswer | None = None
    problem: ItemProblem | None = None


class DecisionBatchAnswer(Frozen):
    """The verdict on every item, in the order of the request; what was decided is committed."""

    decided: int
    refused: int
    verdicts: list[DecisionVerdict]


@router.post("/v1/decisions/batch", summary="Decide about up to 1,000 messages", responses=problems(422))
@own_key
@in_lane(Lane.BATCH)
def post_decision_batch(
    caller: Annotated[Caller, permission("decisions:write")],
    document: Annotated[Document, Depends(BodyIs(DecisionBatch))],
    parts: PartsOf,
    key: IdempotencyKey = None,
) -> DecisionBatchAnswer:
    """Decide about each item as `POST /v1/decisions` does, in one reading and one commit.

    An item that is refused spoils nothing for the others: its verdict names the field and what was expected. An
    `Idempotency-Key` of the batch stands for each item without a key of its own, together with its position.
    What one item sends counts for the next one about the same recipient.
    """
    items = _items(document.value)
    read = [_read(caller, item, position, key) for position, item in enumerate(items)]
    verdicts = _verdicts(parts, caller, read)
    refused = sum(each.verdict == "refused" for each in verdicts)
    decision_metrics.count_batch(decided=len(verdicts) - refused, refused=refused)
    return DecisionBatchAnswer(decided=len(verdicts) - refused, refused=refused, verdicts=verdicts)


def _items(body: Any) -> list[Any]:
    """Return the items of a batch.

    Raises:
        Refused: 422, it is not a batch of 1 to 1,000 items and nothing else.
    """
    found = body.get("decisions") if isinstance(body, dict) and len(body) == 1 else None
    if not isinstance(found, list) or not 1 <= len(found) <= MAX_BATCH:
        expected = f"a list of 1 to {MAX_BATCH} items, and no other field beside it"
        error = FieldError(field="decisions", expected=expected)
        raise Refused(ProblemCode.INVALID, f"This batch is not {expected}; nothing was decided.", errors=[error])
    return found


def _read(caller: Caller, item: Any, position: int, batch_key: str | None) -> Ask | Refused:
    """Return what an item asks for, or why it cannot be understood."""
    try:
        if not isinstance(item, dict) or not {"request"} <= item.keys() <= {"request", "idempotency_key"}:
            expected = "an object with request and, if wanted, idempotency_key"
            return Refused(ProblemCode.INVALID, "This item is not as expected.", errors=[_at("", expected)])
        key = _KEY.validate_python(item.get("idempotency_key"), strict=True)
        asked = read_request(item["request"], caller)
    except ValidationError:
        expected = "1 to 255 printable ASCII characters without blanks"
        return Refused(ProblemCode.INVALID, "The key is not as expected.", errors=[_at("idempotency_key", expected)])
    except Refused as refused:
        return _below("request.", refused)
    if key is None and batch_key is not None:
        # No key that a caller can give has this character in it.
        key = f"{batch_key}\0{position}"
    wanted = decision_id(caller.tenant.subject_secret, key) if key is not None else new_id()
    return Ask(wanted, asked, may_repeat=key is not None)


_KEY: TypeAdapter[str | None] = TypeAdapter(ItemKey | None)


def _verdicts(parts: Parts, caller: Caller, read: Sequence[Ask | Refused]) -> list[DecisionVerdict]:
    tenant = caller.tenant
    asks = [each for each in read if isinstance(each, Ask)]
    found = iter(parts.decider.decide_each(tenant, asks, now=parts.clock.now(tenant), actor=caller.actor))
    verdicts = []
    for position, each in enumerate(read):
        told = each if isinstance(each, Refused) else next(found)
        if isinstance(told, Recorded):
            answer = DecisionAnswer.model_validate(told.answer)
            verdicts.append(DecisionVerdict(position=position, verdict="decided", decision=answer))
        else:
            refused = told if isinstance(told, Refused) else _below("request.", refusal_of(told))
            problem = ItemProblem(code=refused.code, detail=str(refused), errors=refused.errors)
            verdicts.append(DecisionVerdict(position=position, verdict="refused", problem=problem))
    return verdicts


def _below(prefix: str, refused: Refused) -> Refused:
    """Return the refusal with its fields named as they are in an item."""
    named = [
        FieldError(
            field="idempotency_key" if each.field == "Idempotency-Key" else prefix + each.field,
            expected=each.expected,
        )
        for each in refused.errors
    ]
    return Refused(refused.code, str(refused), errors=named)


def _at(field: str, expected: str) -> FieldError:
    return FieldError(field=field, expected=expected)

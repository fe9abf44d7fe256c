"""Makes plans, step by step as a job: read the audience, optimise it as a whole, decide about each of its items.

A step is one commit. What was decided before a kill is found again under the same ids: nobody gets two decisions.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import structlog

from adapters.clock import Clock
from adapters.postgres import choices, plans
from adapters.postgres.decision_rows import Recorded
from adapters.postgres.plans import People
from adapters.postgres.recipient_facts import RecipientFacts
from domain import identity
from domain.jobs import CannotGoOn, ItemResult, ItemVerdict
from domain.plans import (
    Constraint,
    PlanOption,
    PlanRequest,
    PlanSummary,
    Resources,
    TooLarge,
    check_cells,
    options,
    resources,
    worth,
)
from domain.segments import holds, subjects
from domain.tenants import Tenant
from domain.values import Channel
from models.audience_plan.assign import Plan, make_plan
from models.audience_plan.problem import AudienceProblem, Floats
from serving.asks import Ask
from serving.decide import Decider, new_id

log = structlog.get_logger("kairos.plans")


def forget(connection: Any, payload: Any) -> None:
    """Delete who was in a plan that failed."""
    plans.forget_people(connection, payload["plan_id"])


@dataclass(frozen=True)
class _Asked:
    """A plan as its job holds it."""

    plan_id: str
    request: PlanRequest
    pages: int
    asked_at: datetime
    known_at: datetime | None

    @classmethod
    def of(cls, payload: Any) -> "_Asked":
        return cls(
            plan_id=payload["plan_id"],
            request=PlanRequest.model_validate(payload["request"]),
            pages=payload["pages"],
            asked_at=datetime.fromisoformat(payload["asked_at"]),
            known_at=datetime.fromisoformat(payload["known_at"]) if "known_at" in payload else None,
        )

    @property
    def options(self) -> tuple[PlanOption, ...]:
        # All channels there are: the gates take away those that the type does not offer.
        return options(self.request, self.request.channels or tuple(Channel), self.asked_at)


class Planner:
    """Does the steps of plans."""

    def __init__(self, decider: Decider, facts: RecipientFacts, clock: Clock) -> None:
        self._decider = decider
        self._facts = facts
        self._clock = clock

    def step(self, connection: Any, tenant: Tenant, payload: Any, places: range, actor: str) -> list[ItemResult]:
        """Do the first of these steps; a job's handler."""
        asked, step = _Asked.of(payload), places[0]
        if step < asked.pages:
            detail = self._gather(connection, tenant, asked, step)
        elif step == asked.pages:
            detail = self._optimise(connection, tenant, asked)
        else:
            detail = self._decide(connection, tenant, asked, step - asked.pages - 1, actor)
        if step == 2 * asked.pages:
            plans.forget_people(connection, asked.plan_id)
        return [ItemResult(position=step, verdict=ItemVerdict.DONE, detail=detail)]

    def _gather(self, connection: Any, tenant: Tenant, asked: _Asked, page: int) -> dict[str, Any]:
        who, last = self._who(connection, tenant, asked, page)
        table = self._worth(tenant, asked, who)
        plans.put_page(connection, tenant, asked.plan_id, page, People(who, table, last))
        return {"step": "gather", "recipients": len(who)}

    def _who(self, connection: Any, tenant: Tenant, asked: _Asked, page: int) -> tuple[list[str], str | None]:
        """Return the recipients of a page, and the last that was looked at."""
        if asked.request.recipient_id is not None:
            return [asked.request.recipient_id], None
        after = plans.read_page(connection, tenant, asked.plan_id, page - 1).last if page else None
        is_over = page > 0 and after is None
        found = plans.audience(connection, after=after, known_at=asked.known_at) if not is_over else []
        last = found[-1] if found else None
        rule = asked.request.audience
        if rule is None or not found:
            return found, last
        now = self._clock.now(tenant)
        allowed = choices.read(connection, tenant, found, now=now)
        facts = self._facts.read(connection, tenant, allowed, subjects([rule]), now)
        return [each for each in found if holds(rule, facts.get(each, {}), now)], last

    def _worth(self, tenant: Tenant, asked: _Asked, who: Sequence[str]) -> list[list[float | None]]:
        """Return (n, m) what each option is worth to each recipient, as of its slot's start."""
        table: list[list[float | None]] = [[] for _ in who]
        now = self._clock.now(tenant)
        requests = [Ask(new_id(), asked.request.ask(each)) for each in who]
        considered: dict[datetime, list[Any]] = {}
        for option in asked.options:
            at = max(option.starts, now)
            if at not in considered:
                considered[at] = self._decider.consider(tenant, requests, now=at)
            for row, value in zip(table, _values(option, considered[at]), strict=True):
                row.append(value if math.isfinite(value) else None)
        return table

    def _optimise(self, connection: Any, tenant: Tenant, asked: _Asked) -> dict[str, Any]:
        given = asked.options
        sizes, values = self._table(connection, tenant, asked)
        where = np.repeat(np.arange(len(sizes)), sizes), np.concatenate([np.arange(size) for size in sizes])
        shared = resources(asked.request.budgets, given)
        problem = AudienceProblem.of(values, shared.usage, shared.limits, per_recipient=asked.request.per_recipient)
        found = make_plan(problem)
        pairs = zip(found.recipient.tolist(), found.option.tolist(), strict=True)
        plans.put_items(
            connection,
            tenant,
            asked.plan_id,
            (
                _row((int(where[0][row]), int(where[1][row])), given[column], float(values[row, column]))
                for row, column in pairs
            ),
        )
        summary = _summary(
            problem, found, shared, unit="conversions" if self._decider.speaks_to_conversions else "visits"
        )
        plans.put_summary(connection, asked.plan_id, summary)
        log.info("plan.optimised", tenant=tenant.tenant, plan_id=asked.plan_id, items=summary.items, gap=summary.gap)
        return {"step": "optimise", "items": summary.items}

    def _table(self, connection: Any, tenant: Tenant, asked: _Asked) -> tuple[list[int], Floats]:
        """Return how many people are on each page, and (n, m) what the options are worth to all of them.

        Raises:
            CannotGoOn: they are too many.
        """
        sizes, tables, count = [], [], len(asked.options)
        for page in range(asked.pages):
            people = plans.read_page(connection, tenant, asked.plan_id, page)
            sizes.append(len(people.who))
            try:
                check_cells(sum(sizes), count)
            except TooLarge as error:
                raise CannotGoOn(f"the audience is too large: {error}") from None
            # What is None becomes no number here.
            tables.append(np.array(people.worth, dtype=np.float64).reshape(-1, count))
        values = np.concatenate(tables)
        values[np.isnan(values)] = -np.inf
        return sizes, values

    def _decide(self, connection: Any, tenant: Tenant, asked: _Asked, page: int, actor: str) -> dict[str, Any]:
        items = plans.items_of(connection, asked.plan_id, page)
        if not items:
            return {"step": "decide", "items": 0}
        who = plans.read_page(connection, tenant, asked.plan_id, page).who
        by_option = {(each.channel.value, each.slot): each for each in asked.options}
        requests = [
            Ask(
                # No key that a caller can give has this character in it.
                identity.decision_id(tenant.subject_secret, f"plan\0{asked.plan_id}\0{item.position}"),
                asked.request.ask(who[item.place], by_option[item.channel, item.slot]),
                may_repeat=True,
            )
            for item in items
        ]
        told = self._decider.decide_each(tenant, requests, now=self._clock.now(tenant), actor=actor)
        for item, verdict in zip(items, told, strict=True):
            plans.note(connection, asked.plan_id, item.position, _became(verdict))
        return {"step": "decide", "items": len(items)}


def _values(option: PlanOption, considered: Sequence[Any]) -> list[float]:
    """Return what an option is worth to each recipient; whom no model speaks to counts like the mean of the others."""
    known = [found if isinstance(found, tuple) else None for found in considered]
    found = [worth(option, *each) if each is not None else -math.inf for each in known]
    is_valued = [each is not None and each[0].expected.can_value for each in known]
    valued = [value for value, is_sure in zip(found, is_valued, strict=True) if is_sure and math.isfinite(value)]
    if not valued:
        return found
    mean = math.fsum(valued) / len(valued)
    return [
        value if is_sure or not math.isfinite(value) else mean for value, is_sure in zip(found, is_valued, strict=True)
    ]


def _row(where: tuple[int, int], option: PlanOption, value: float) -> dict[str, Any]:
    page, place = where
    told = {"page": page, "place": place, "channel": option.channel.value, "slot": option.slot}
    return told | {"starts": option.starts, "worth": value}


def _became(verdict: Any) -> dict[str, Any]:
    if not isinstance(verdict, Recorded):
        # Refusals name fields and what was expected there, never a value.
        return {"problem": str(verdict)}
    answer = verdict.answer
    return {name: answer[name] for name in ("decision_id", "outcome", "reason", "action_probability")}


def _summary(problem: AudienceProblem, found: Plan, shared: Resources, *, unit: str) -> PlanSummary:
    used = found.used.tolist() if len(found.recipient) else [0.0] * len(shared.names)
    prices = found.prices.price.tolist()
    return PlanSummary(
        recipients=problem.recipients,
        reachable=int(np.isfinite(problem.values).any(axis=1).sum()),
        items=len(found.recipient),
        unit=unit,
        value=found.value,
        bound=found.prices.bound,
        gap=min(1.0, found.gap),
        cost=used[shared.names.index("money")],
        constraints=tuple(
            Constraint(name=name, limit=None if math.isinf(limit) else limit, used=use, price=price)
            for name, limit, use, price in zip(shared.names, shared.limits, used, prices, strict=True)
        ),
    )

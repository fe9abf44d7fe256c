"""Service levels: named sets of a decision's stages with the time they may take together, as a tenant sets them.

The names are fixed; a tenant may say which stages a name stands for. The gates are in every set: no level opens one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from domain.values import Frozen

LONGEST_DEADLINE_MS = 1_000


class LevelName(StrEnum):
    """The levels there are, from the least to the most."""

    BASIC = "basic"
    STANDARD = "standard"
    PREMIUM = "premium"
    ENTERPRISE = "enterprise"
    QUANTUM = "quantum"


class Stage(StrEnum):
    """What a decision may do, in the order in which it is done."""

    GATES = "gates"
    TEMPLATE = "template"
    SEGMENTS = "segments"
    ENGAGEMENT_SCORE = "engagement_score"
    FATIGUE = "fatigue"
    CHANNEL_CHOICE = "channel_choice"
    VARIANT_CHOICE = "variant_choice"
    SEND_TIME = "send_time"
    BANDIT = "bandit"
    EXPERIMENTS = "experiments"
    EXPLANATIONS = "explanations"
    JOINT_OPTIMISATION = "joint_optimisation"


ALWAYS = (Stage.GATES, Stage.TEMPLATE)
NEEDS: Mapping[Stage, tuple[Stage, ...]] = {
    Stage.CHANNEL_CHOICE: (Stage.ENGAGEMENT_SCORE,),
    Stage.VARIANT_CHOICE: (Stage.ENGAGEMENT_SCORE,),
    Stage.SEND_TIME: (Stage.ENGAGEMENT_SCORE,),
    Stage.BANDIT: (Stage.VARIANT_CHOICE,),
    Stage.JOINT_OPTIMISATION: (Stage.CHANNEL_CHOICE, Stage.VARIANT_CHOICE, Stage.SEND_TIME),
}


def _in_order(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """Return the stages in their own order, so that two ways of writing a level are one level."""
    if len(set(stages)) < len(stages):
        raise ValueError("must name each stage once")
    return tuple(each for each in Stage if each in stages)


class ServiceLevel(Frozen):
    """What one level stands for."""

    stages: Annotated[tuple[Stage, ...], AfterValidator(_in_order)] = Field(
        max_length=len(Stage),
        description="Done in their own order, whatever the order here; `gates` and `template` always.",
    )
    deadline_ms: int | None = Field(
        ge=1, le=LONGEST_DEADLINE_MS, description="For all stages of one decision; null for `joint_optimisation` only."
    )

    @model_validator(mode="after")
    def _can_be_done(self) -> Self:
        held = set(self.stages)
        if missing := [each.value for each in ALWAYS if each not in held]:
            raise ValueError(f"must have the stages every decision has: {', '.join(missing)} is missing")
        for stage in (each for each in Stage if each in held):
            if lacking := [each.value for each in NEEDS.get(stage, ()) if each not in held]:
                raise ValueError(f"must have {' and '.join(lacking)} for {stage.value}")
        if (self.deadline_ms is None) != (Stage.JOINT_OPTIMISATION in held):
            raise ValueError("must have a deadline in milliseconds, or joint_optimisation and none")
        return self


def _level(stages: tuple[Stage, ...], deadline_ms: int | None) -> ServiceLevel:
    return ServiceLevel(stages=(*ALWAYS, *stages), deadline_ms=deadline_ms)


_SCORED = (Stage.ENGAGEMENT_SCORE, Stage.CHANNEL_CHOICE, Stage.VARIANT_CHOICE)
_TIMED = (*_SCORED, Stage.SEND_TIME, Stage.FATIGUE, Stage.SEGMENTS)
DEFAULTS: Mapping[LevelName, ServiceLevel] = {
    LevelName.BASIC: _level((), 20),
    LevelName.STANDARD: _level(_SCORED, 50),
    LevelName.PREMIUM: _level(_TIMED, 80),
    LevelName.ENTERPRISE: _level((*_TIMED, Stage.BANDIT, Stage.EXPERIMENTS, Stage.EXPLANATIONS), 100),
    LevelName.QUANTUM: _level((*_TIMED, Stage.JOINT_OPTIMISATION), None),
}
"""What a level stands for until the tenant says otherwise."""


@dataclass(frozen=True)
class Plan:
    """Which stages one decision goes through, and the milliseconds they may take; None sets no time of its own."""

    level: LevelName | None
    stages: tuple[Stage, ...]
    deadline_ms: int | None

    def has(self, stage: Stage) -> bool:
        """Tell whether a stage is a part of it."""
        return stage in self.stages

    def facts(self) -> dict[str, Any]:
        """Return it as it is recorded and answered."""
        return {
            "level": self.level.value if self.level is not None else None,
            "stages": [stage.value for stage in self.stages],
            "deadline_ms": self.deadline_ms,
        }


EVERYTHING = Plan(None, tuple(each for each in Stage if each is not Stage.JOINT_OPTIMISATION), None)
"""What is done for a request that names no level: everything that is done for one decision alone."""


def plan_of(level: LevelName | None, in_force: Mapping[LevelName, ServiceLevel] = DEFAULTS) -> Plan:
    """Return the stages and the deadline of a decision.

    Args:
        level: what the request names.
        in_force: what the levels stand for in the tenant; one that is not there stands for its default.
    """
    if level is None:
        return EVERYTHING
    definition = in_force.get(level, DEFAULTS[level])
    return Plan(level, definition.stages, definition.deadline_ms)

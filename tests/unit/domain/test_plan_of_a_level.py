"""A level's plan is what the tenant says it stands for, its default otherwise, and everything where none is named."""

import pytest

from domain.service_levels import DEFAULTS, EVERYTHING, LevelName, ServiceLevel, Stage, plan_of


@pytest.mark.parametrize("level", [each for each in LevelName if each is not LevelName.QUANTUM])
def test_a_level_stands_for_its_default(level):
    plan = plan_of(level)
    assert (plan.stages, plan.deadline_ms) == (DEFAULTS[level].stages, DEFAULTS[level].deadline_ms)


def test_or_for_what_the_tenant_set():
    given = ServiceLevel(stages=(Stage.GATES, Stage.TEMPLATE, Stage.FATIGUE), deadline_ms=7)
    plan = plan_of(LevelName.PREMIUM, {LevelName.PREMIUM: given})
    assert (plan.has(Stage.FATIGUE), plan.has(Stage.SEND_TIME), plan.deadline_ms) == (True, False, 7)
    assert plan_of(LevelName.BASIC, {LevelName.PREMIUM: given}).stages == (Stage.GATES, Stage.TEMPLATE)
    assert plan.facts() == {"level": "premium", "stages": ["gates", "template", "fatigue"], "deadline_ms": 7}


def test_without_a_name_everything_is_done_that_can_be_for_one_decision():
    assert plan_of(None) == EVERYTHING
    assert set(Stage) - set(EVERYTHING.stages) == {Stage.JOINT_OPTIMISATION}
    assert EVERYTHING.deadline_ms is None

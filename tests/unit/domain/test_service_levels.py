"""Service levels: the gates are in each, nothing stands without what it needs, and there is one way to write each."""

import pytest
from pydantic import ValidationError

from domain.service_levels import ALWAYS, DEFAULTS, NEEDS, LevelName, ServiceLevel, Stage


def a_level(*stages: str, deadline_ms: int | None = 50) -> ServiceLevel:
    return ServiceLevel.model_validate({"stages": list(stages), "deadline_ms": deadline_ms})


def test_every_level_has_a_default_that_is_valid_and_takes_longer_than_the_one_before():
    assert set(DEFAULTS) == set(LevelName)
    assert [DEFAULTS[each].deadline_ms for each in LevelName] == [20, 50, 80, 100, None]
    counts = [len(DEFAULTS[each].stages) for each in LevelName][:4]
    assert counts == sorted(set(counts))


@pytest.mark.parametrize("left_out", ALWAYS)
def test_no_level_goes_without_the_gates_or_the_template(left_out):
    with pytest.raises(ValidationError, match=left_out.value):
        a_level(*(each.value for each in ALWAYS if each is not left_out))


@pytest.mark.parametrize("stage", NEEDS)
def test_a_stage_without_what_it_needs_is_refused(stage):
    with pytest.raises(ValidationError, match=f"for {stage.value}"):
        a_level("gates", "template", stage.value, deadline_ms=None if stage is Stage.JOINT_OPTIMISATION else 50)


def test_the_order_of_writing_does_not_matter():
    stages = ("template", "channel_choice", "gates", "engagement_score")
    assert a_level(*stages) == a_level(*reversed(stages))
    assert a_level(*stages).stages[0] is Stage.GATES


@pytest.mark.parametrize("deadline", [0, -1, 1_001, None, 1.5, "50"])
def test_a_deadline_is_whole_milliseconds_up_to_a_second(deadline):
    with pytest.raises(ValidationError):
        ServiceLevel.model_validate({"stages": ["gates", "template"], "deadline_ms": deadline}, strict=True)


def test_only_a_batch_has_no_deadline():
    joint = [each.value for each in DEFAULTS[LevelName.QUANTUM].stages]
    with pytest.raises(ValidationError, match="joint_optimisation and none"):
        a_level(*joint, deadline_ms=100)


def test_a_stage_is_named_once():
    with pytest.raises(ValidationError, match="once"):
        a_level("gates", "gates", "template")

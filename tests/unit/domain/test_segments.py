"""The rule language: what a missing fact does, what fits which question, and that reading is strict and says where."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.events import EventType
from domain.profiles import Profile
from domain.recipient_facts import of_profile, of_segment
from domain.segment_reading import MAX_DEPTH, MAX_RULES, MAX_VALUES, read, written
from domain.segments import And, Condition, EventCount, Not, Operator, Or, answers, evaluate, holds, subjects
from domain.values import Channel

NOW = datetime(2026, 3, 2, 17, tzinfo=UTC)


def _back(distance):
    return NOW - max(min(distance, timedelta(days=5_000)), timedelta(days=-5_000))


FIELDS = ("profile.age", "profile.country", "profile.topics", "segment.name", "feature.login_count_7d")
SCALARS = st.booleans() | st.integers(-3, 3) | st.sampled_from([0.0, 1.0, 2.5]) | st.sampled_from(["", "1", "FR", "a"])
FACTS = SCALARS | st.lists(SCALARS, max_size=3).map(tuple) | st.timedeltas().map(_back) | st.none()
KNOWN = st.dictionaries(st.sampled_from(FIELDS), FACTS)


def _values(operator):
    if operator is Operator.EXISTS:
        return st.booleans()
    if operator is Operator.WITHIN_DAYS:
        return st.integers(1, 400)
    if operator is Operator.IN:
        return st.lists(SCALARS, min_size=1, max_size=3).map(tuple)
    numbers = operator in (Operator.GREATER_THAN, Operator.LESS_THAN)
    return st.integers(-3, 3) if numbers else SCALARS


COUNTS = st.builds(EventCount, st.sampled_from(EventType), st.integers(1, 365), st.none() | st.sampled_from(Channel))


NAMES = st.sampled_from(FIELDS) | COUNTS


def conditions(operators=tuple(Operator)):
    return st.sampled_from(operators).flatmap(
        lambda operator: st.builds(Condition, NAMES, st.just(operator), _values(operator))
    )


def rules(leaves):
    joined = lambda inner: st.lists(inner, min_size=1, max_size=3).map(tuple)  # noqa: E731
    return st.recursive(
        leaves,
        lambda inner: st.builds(And, joined(inner)) | st.builds(Or, joined(inner)) | st.builds(Not, inner),
        max_leaves=8,
    )


RULES = rules(conditions())
WITHOUT_EXISTS = rules(conditions(tuple(each for each in Operator if each is not Operator.EXISTS)))


@given(RULES, KNOWN)
def test_de_morgan_holds_and_two_nots_are_none(rule, facts):
    other = Condition("profile.age", Operator.LESS_THAN, 2)
    both = evaluate(Not(And((rule, other))), facts, NOW)
    assert both is evaluate(Or((Not(rule), Not(other))), facts, NOW)
    assert evaluate(Not(Not(rule)), facts, NOW) is evaluate(rule, facts, NOW)


@given(st.lists(RULES, min_size=1, max_size=4), KNOWN, st.randoms())
def test_the_order_of_rules_does_not_matter(several, facts, shuffled):
    other = list(several)
    shuffled.shuffle(other)
    for join in (And, Or):
        assert evaluate(join(tuple(several)), facts, NOW) is evaluate(join(tuple(other)), facts, NOW)


@given(WITHOUT_EXISTS, KNOWN, KNOWN)
def test_learning_a_missing_fact_never_turns_a_known_answer(rule, facts, learned):
    known = {name: fact for name, fact in facts.items() if fact is not None}
    before = evaluate(rule, known, NOW)
    after = evaluate(rule, learned | known, NOW)
    assert before is None or after is before


@given(WITHOUT_EXISTS)
def test_where_nothing_is_known_nothing_holds_whatever_is_asked(rule):
    assert evaluate(rule, {}, NOW) is None
    assert evaluate(rule, dict.fromkeys(FIELDS), NOW) is None
    assert not holds(rule, {}, NOW)


@given(RULES, KNOWN)
def test_the_answers_are_those_the_rule_was_decided_by(rule, facts):
    told = {answer.place: answer.truth for answer in answers(rule, facts, NOW)}
    assert len(told) == len(answers(rule, facts, NOW)) >= 1
    if isinstance(rule, And | Or):
        truths = [evaluate(each, facts, NOW) for each in rule.rules]
        known = (False in truths) if isinstance(rule, And) else (True in truths)
        assert (evaluate(rule, facts, NOW) is None) is (None in truths and not known)
    elif isinstance(rule, Condition):
        assert told == {"": evaluate(rule, facts, NOW)}


@given(rules(conditions()))
def test_what_is_written_is_read_back_alike(rule):
    try:
        again = read(written(rule))
    except ValueError as error:
        assert f"at most {MAX_DEPTH}" in str(error)  # noqa: PT017 - the generator may nest deeper than is read
    else:
        assert again == rule


@pytest.mark.parametrize(
    ("asked", "fact", "truth"),
    [
        ({"equals": 1}, 1.0, True),
        ({"equals": 1}, True, False),
        ({"equals": "1"}, 1, False),
        ({"not_equals": "FR"}, "DE", True),
        ({"not_equals": "FR"}, None, None),
        ({"greater_than": -1}, None, None),
        ({"less_than": 1}, None, None),
        ({"less_than": 1}, 0, True),
        ({"greater_than": 0}, "5", None),
        ({"greater_than": 0}, True, None),
        ({"contains": "chess"}, ("chess", "go"), True),
        ({"contains": "chess"}, (), False),
        ({"contains": "che"}, ("chess",), False),
        ({"contains": "che"}, "chess", True),
        ({"contains": 1}, "1", None),
        ({"in": ["FR", "DE"]}, "DE", True),
        ({"in": ["FR", "DE"]}, "US", False),
        ({"in": [1]}, None, None),
        ({"exists": True}, None, False),
        ({"exists": False}, None, True),
        ({"exists": True}, 0, True),
        ({"within_days": 7}, NOW - timedelta(days=7), True),
        ({"within_days": 7}, NOW - timedelta(days=7, seconds=1), False),
        ({"within_days": 7}, NOW + timedelta(seconds=1), False),
        ({"within_days": 7}, "2026-03-01", None),
        ({"within_days": 7}, datetime(2026, 3, 1), None),  # noqa: DTZ001 - a clock nobody knows the zone of
    ],
)
def test_a_condition_asks_only_what_fits(asked, fact, truth):
    assert evaluate(read({"field": "profile.age", **asked}), {"profile.age": fact}, NOW) is truth


def test_counts_are_facts_of_their_own_and_no_events_are_known_to_be_none():
    rule = read({"count": {"event": "clicked", "days": 30, "channel": "email"}, "greater_than": 2})
    assert evaluate(rule, {"events.clicked.email.30d": 3}, NOW) is True
    assert evaluate(rule, {"events.clicked.email.30d": 0}, NOW) is False
    assert evaluate(rule, {"events.clicked.any.30d": 3}, NOW) is None
    assert subjects([rule, None]) == {EventCount(EventType.CLICKED, 30, Channel.EMAIL)}


def deep(levels):
    rule = {"field": "profile.age", "exists": True}
    for _ in range(levels - 1):
        rule = {"not": rule}
    return rule


AGE = {"field": "profile.age", "exists": True}


def test_the_bounds_are_as_far_as_a_rule_may_go():
    assert read(deep(MAX_DEPTH))
    assert read({"or": [AGE] * (MAX_RULES - 1)})
    assert read({"field": "profile.age", "in": [1] * MAX_VALUES})


@pytest.mark.parametrize(
    ("document", "place"),
    [
        (None, ""),
        ([], ""),
        ({}, ""),
        ({"and": []}, "and"),
        ({"and": [AGE], "or": [AGE]}, ""),
        ({"xor": [AGE]}, ""),
        ({"and": [AGE, {"not": {"field": "profile.colour", "equals": 1}}]}, "and.1.not.field"),
        ({"field": "profile.age"}, ""),
        ({"field": "profile.age", "equals": 1, "in": [1]}, ""),
        ({"or": [AGE, {"field": "profile.age", "like": 1}]}, "or.1"),
        ({"field": 7, "equals": 1}, "field"),
        ({"field": "profile.age", "greater_than": "1"}, "greater_than"),
        ({"field": "profile.age", "greater_than": True}, "greater_than"),
        ({"field": "profile.age", "greater_than": float("nan")}, "greater_than"),
        ({"field": "profile.age", "equals": None}, "equals"),
        ({"field": "profile.age", "equals": "a" * 201}, "equals"),
        ({"field": "profile.age", "exists": 1}, "exists"),
        ({"field": "profile.age", "in": []}, "in"),
        ({"field": "profile.age", "in": [1, [2]]}, "in.1"),
        ({"field": "profile.age", "in": [1] * (MAX_VALUES + 1)}, "in"),
        ({"field": "profile.age", "within_days": 0}, "within_days"),
        ({"field": "profile.age", "within_days": 1.5}, "within_days"),
        ({"count": {"event": "sneezed", "days": 1}, "equals": 1}, "count.event"),
        ({"count": {"event": "clicked", "days": 366}, "equals": 1}, "count.days"),
        ({"count": {"event": "clicked", "days": 1, "channel": "fax"}, "equals": 1}, "count.channel"),
        ({"count": {"event": "clicked"}, "equals": 1}, "count"),
        ({"count": {"event": ["clicked"], "days": 1}, "equals": 1}, "count.event"),
        (deep(MAX_DEPTH + 1), ".".join(["not"] * MAX_DEPTH)),
        ({"or": [AGE] * MAX_RULES}, f"or.{MAX_RULES - 1}"),
    ],
)
def test_what_is_no_rule_is_refused_with_its_place(document, place):
    with pytest.raises(ValueError, match="must be ") as refused:
        read(document)
    assert str(refused.value).startswith(f"{place} must be " if place else "must be ")


JSON = st.recursive(
    st.none() | SCALARS | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["and", "or", "not", "field", "count", "equals", "in", "event", "days"]), inner
        )
    ),
)


@given(JSON)
def test_whatever_is_given_is_a_rule_or_a_refusal(document):
    try:
        rule = read(document)
    except ValueError as error:
        assert "must be " in str(error)  # noqa: PT017 - either outcome is right, nothing else is
    else:
        assert read(written(rule)) == rule


def test_a_profile_holds_what_it_says_and_nothing_else():
    said = {"country": "FR", "age": 0, "content": {"topics": ["chess"]}, "experience": "mid"}
    said |= {"attributes": {"since": "2026-03-01T00:00:00Z", "plan": "free", "day": "2026-03-01", "vip": False}}
    facts = of_profile(Profile.model_validate(said))
    assert facts.pop("profile.quality") > 0
    assert facts == {
        "profile.country": "FR",
        "profile.age": 0,
        "profile.topics": ("chess",),
        "profile.experience": "mid",
        "profile.attributes.since": datetime(2026, 3, 1, tzinfo=UTC),
        "profile.attributes.plan": "free",
        "profile.attributes.day": "2026-03-01",
        "profile.attributes.vip": False,
    }
    assert of_profile(None) == {}


def test_a_segment_without_scores_has_a_name_only():
    assert of_segment({"segment": "never_bought", "score": None}) == {"segment.name": "never_bought"}

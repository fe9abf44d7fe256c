"""Three voices: the recipient is spoken to plainly, the operator is told all, the regulator what can be checked."""

import json

import pytest

from domain.decision_record import Evidence, record
from domain.explained import Voice, gates_passed, sentences, stages_of, terms_of
from domain.values import Channel, Reason
from tests.builders import SETTINGS, a_decision, a_situation, an_expectation

EMAIL, PUSH = Channel.EMAIL, Channel.PUSH


def kept(draft, **evidence):
    given = {"is_holdout": False, "may_personalize": True, "degraded": None, "settings": SETTINGS, "type_version": 1}
    return json.loads(json.dumps(record(draft, Evidence("s", **(given | evidence)))))


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_is_told_to_the_recipient_in_their_voice(reason):
    refused = kept(a_decision(situation=a_situation(allowances={"consents": ()})))
    told = sentences(refused | {"reason": reason.value}, Voice.RECIPIENT)
    assert told[0].startswith("You were not sent this message. ")
    assert len(told[0]) > 50


def test_the_recipient_hears_no_number_no_policy_and_of_no_other_person():
    told = " ".join(sentences(kept(a_decision()), Voice.RECIPIENT))
    assert not any(character.isdigit() for character in told)
    assert "policy" not in told
    assert "recipient" not in told


def test_the_regulator_is_told_consent_versions_and_the_chance():
    told = " ".join(sentences(kept(a_decision()), Voice.REGULATOR))
    for part in ("marketing on *: given", "rules of law in version", "no person took part", "fixed before the draw"):
        assert part in told


def test_a_stage_tells_its_runner_up_and_whether_chance_chose_another_than_the_likeliest():
    draft = a_decision(expected=an_expectation({EMAIL: 0.2, PUSH: 0.01}))
    for stage, drawn in zip(stages_of(kept(draft)), draft.choice.stages, strict=True):
        assert stage.chosen.probability == drawn.probability
        assert stage.chosen_by_chance == (drawn.probability < max(drawn.probabilities))
        assert stage.runner_up.option != stage.chosen.option
        rest = [each for place, each in enumerate(drawn.probabilities) if place != drawn.chosen]
        assert stage.runner_up.probability == max(rest)


def test_the_terms_of_each_channel_sum_to_its_value_and_the_price_comes_off():
    terms = terms_of(kept(a_decision(expected=an_expectation({EMAIL: 0.2, PUSH: 0.01}))))
    assert set(terms) == {EMAIL, PUSH}
    for each in terms.values():
        assert each.visit + each.conversion + each.opt_out + each.cost == pytest.approx(each.value)
        assert each.value - each.price == pytest.approx(each.net)
    assert terms_of(kept(a_decision())) == {}


def test_only_permitted_channels_passed_every_gate():
    assert set(gates_passed(kept(a_decision()))) == {"email", "push"}
    assert gates_passed(kept(a_decision(situation=a_situation(allowances={"consents": ()})))) == {}

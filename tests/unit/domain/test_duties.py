"""Duties: each is met until its own count says otherwise, and what cannot be judged is not called met."""

from datetime import timedelta

import pytest

from domain.legal import duties
from domain.legal.duties import DecisionCounts, StoreCounts
from domain.suppression import Suppression
from tests.builders import NOON, RULES, a_consent
from tests.unit.domain.test_replay import decided, hours

CLEAN = StoreCounts(grants=3, opens=2, signals=1, keyword_revocations=1, erasures_open=1, mail_types=2)


def judged(stored=CLEAN, counted=None, rules=RULES):
    return {each.rule: each for each in duties.judged(rules.rules, stored, counted or DecisionCounts())}


def test_every_published_rule_is_judged_and_met_where_nothing_speaks_against_it():
    found = judged()
    assert {each.is_met for each in found.values()} == {True}
    assert [each.rule for each in found.values() if not each.evidence] == []
    assert all(each.source and each.duty for each in found.values())


@pytest.mark.parametrize(
    ("count", "unmet"),
    [
        ("grants_without_proof", {"gdpr.consent"}),
        ("opens_without_consent", {"cnil.open_tracking"}),
        ("signals_undone", {"ccpa.opt_out_signal"}),
        ("keyword_revocations_undone", {"tcpa.keywords"}),
        ("erasures_overdue", {"gdpr.access"}),
        ("mail_types_unfit", {"can_spam.postal_address", "can_spam.opt_out", "mailbox.one_click"}),
    ],
)
def test_a_count_against_a_duty_makes_that_one_unmet_and_stands_in_its_evidence(count, unmet):
    found = judged(StoreCounts(**{count: 7}))
    assert {name for name, each in found.items() if each.is_met is False} == unmet
    assert all(7 in found[name].evidence.values() for name in unmet)


def counted(past, rules=RULES, **record):
    counts = DecisionCounts()
    counts.add({"reason": "r", "versions": {"rules": "x"}, "outcome": "send_now"} | record, past, rules)
    return counts


def test_a_message_sent_while_a_rule_forbade_it_is_counted_against_that_rule():
    found = judged(counted=counted(decided(), hours(13, 21)), rules=hours(13, 21))
    assert (found["tcpa.calling_hours"].is_met, found["tcpa.calling_hours"].evidence["sent_against_it"]) == (False, 1)
    assert {name for name, each in found.items() if each.is_met is False} == {"tcpa.calling_hours"}


def test_a_message_sent_without_consent_or_after_an_objection_is_found_in_its_record():
    sent = decided()
    clean = counted(sent)
    assert (clean.marketing_sends, clean.against_consent, clean.against_objection) == (1, 0, 0)
    from dataclasses import replace

    assert counted(replace(sent, consents=())).against_consent == 1
    assert counted(replace(sent, consents=(a_consent(expires_at=NOON),))).against_consent == 1
    entry = Suppression(channel="sms", cause="complained", since=NOON)
    assert counted(replace(sent, suppressions=(entry,))).against_objection == 1
    assert counted(replace(sent, is_deleted=True)).against_objection == 1


def test_a_decision_that_cannot_be_explained_is_counted():
    assert judged(counted=counted(decided(), versions=None))["gdpr.explanation"].is_met is False


def test_a_rule_nobody_wrote_a_check_for_is_not_called_met():
    unknown = RULES.rules[0].model_copy(update={"id": "some.duty"})
    (found,) = duties.judged([unknown], CLEAN, DecisionCounts())
    assert (found.is_met, found.evidence) == (None, {})


def test_a_deadline_is_read_off_the_rule():
    assert duties.overdue_after(RULES) == timedelta(days=30)
    assert duties.overdue_after(RULES.model_copy(update={"rules": ()})) == timedelta(days=30)
    shorter = RULES.rule("tcpa.confirmation")
    tight = shorter.model_copy(update={"deadline": shorter.deadline.model_copy(update={"amount": 4})})
    (found,) = duties.judged([tight], CLEAN, DecisionCounts())
    assert found.is_met is False

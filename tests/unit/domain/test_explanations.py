"""Explanations: every reason has a sentence, is produced somewhere, and the sentences come from the record."""

import re
from pathlib import Path

import pytest

from domain.explanations import SENTENCES, explain
from domain.values import Outcome, Reason

ROOT = Path(__file__).parents[3]
RECORD = {
    "outcome": "send_now",
    "reason": "policy.sampled",
    "channel": "email",
    "variant_id": "a",
    "refusals": [{"channel": "push", "reason": "channel.switched_off"}],
    "stages": [
        {"name": "channel", "options": [{"channel": None}, {"channel": "email"}], "probabilities": [0.25, 0.75]},
        {"name": "variant", "options": [{"channel": "email", "variant_id": "a"}], "probabilities": [1.0]},
    ],
    "is_holdout": False,
    "may_personalize": True,
    "degraded": None,
    "send_at": None,
}


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_sentence_and_is_explained(reason):
    assert SENTENCES[reason].endswith(".")
    sentences = explain(RECORD | {"reason": reason.value, "outcome": Outcome.SUPPRESS.value, "channel": None})
    assert SENTENCES[reason] in sentences[0]


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_given_by_some_rule_and_met_in_some_test(reason):
    said = re.compile(rf"Reason\.{reason.name}\b")
    met = re.compile(rf"Reason\.{reason.name}\b|\"{re.escape(reason.value)}\"")
    rules = [path for path in (ROOT / "domain").rglob("*.py") if path.name not in {"values.py", "explanations.py"}]
    tests = [path for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__)]
    assert any(said.search(path.read_text()) for path in rules)
    assert any(met.search(path.read_text()) for path in tests)


def test_a_decision_is_told_from_its_record():
    assert explain(RECORD) == [
        "Send now on email, variant a: The policy drew this action among those allowed.",
        "push: The recipient switched this channel off.",
        "The chances before the draw of the channel were: email 75.0 %, nothing 25.0 %.",
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"is_holdout": True}, "every allowed action has the same chance"),
        ({"may_personalize": False}, "no features were read"),
        ({"degraded": "rules"}, "No verified model"),
        ({"degraded": "stale_features"}, "26 hours"),
        ({"degraded": "missing_features"}, "50 hours"),
        ({"degraded": "features_unavailable"}, "did not answer"),
        ({"send_at": "2026-03-03T13:00:00+00:00"}, "2026-03-03T13:00:00+00:00"),
        ({"overridden": "consent.withdrawn"}, "after the draw"),
    ],
)
def test_what_was_unusual_is_told(changes, words):
    assert any(words in sentence for sentence in explain(RECORD | changes))

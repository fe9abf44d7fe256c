"""What the log of decisions says of a challenger: worse values are refused, and what nobody can tell refuses nobody."""

import numpy as np
import pandas as pd
import pytest

from adapters.postgres.model_outcomes import Choice
from assets.steps import gate_evidence
from domain import policy, rescored
from domain.expected import ChannelTerms
from domain.policy import NO_SEND, Action, PolicyName, StageName
from domain.values import Channel
from models.promotion import drift
from tests.builders import SETTINGS

TRUTH = {"email": 0.30, "push": 0.05}
OPTIONS = [NO_SEND, Action(channel=Channel.EMAIL), Action(channel=Channel.PUSH)]
KEPT = SETTINGS.model_dump(mode="json") | {"epsilon": 0.3, "temperature": 0.05}


class Says:
    """A model of one feature, the channel, by its place in a list of its own."""

    features = ("channel_code",)

    def __init__(self, email, push, channels=("email", "push")):
        self._said = np.array([{"email": email, "push": push}[name] for name in channels])
        self.vocabularies = {"channel": channels}

    def score(self, matrix):
        return self._said[matrix[:, 0].astype(int)]


def choices(n, seed=3):
    """Choices drawn from values that think as much of e-mail as of push; e-mail is better."""
    dice = np.random.default_rng(seed)
    terms = {name: ChannelTerms(p_convert=0.15, cost=0.02) for name in TRUTH}
    values = [0.0, *(each.net(SETTINGS.weights) for each in terms.values())]
    chances = policy.epsilon_softmax(values, epsilon=KEPT["epsilon"], temperature=KEPT["temperature"])
    made = []
    for number in range(n):
        stage = policy.settle(
            StageName.CHANNEL, PolicyName.EPSILON_SOFTMAX, OPTIONS, chances, decision_id=f"d{seed}-{number}"
        ).model_dump(mode="json")
        name = rescored.options(stage)[stage["chosen"]]
        made.append(
            Choice(
                decision_id=f"d{seed}-{number}",
                subject_key=f"s{number}",
                message_type="news",
                stage=stage,
                expected={"channels": {name: each.model_dump(mode="json") for name, each in terms.items()}},
                features={"email": {"channel_code": 0.0}, "push": {"channel_code": 1.0}},
                settings=KEPT,
                converted=bool(dice.random() < TRUTH.get(name, 0.0)),
            )
        )
    return made


LOG = choices(3_000)


def test_a_challenger_that_knows_which_channel_is_better_passes_on_the_log():
    found = gate_evidence.off_policy(Says(0.30, 0.05), LOG)
    assert found.held
    assert found.number > 0
    assert "in the log of 3000" in found.sentence


def test_a_challenger_that_would_send_on_the_worse_channel_is_refused_with_both_numbers():
    found = gate_evidence.off_policy(Says(0.01, 0.60), LOG)
    assert not found.held
    assert found.number < found.limit < 0
    assert f"{found.limit:.5f}" in found.sentence


def test_a_challenger_that_numbers_channels_otherwise_is_asked_about_the_same_channels():
    found = gate_evidence.off_policy(Says(0.30, 0.05, channels=("push", "email")), LOG)
    assert found == gate_evidence.off_policy(Says(0.30, 0.05), LOG)


@pytest.mark.parametrize("log", [[], LOG[:50]])
def test_a_log_that_is_too_short_refuses_nobody_and_is_told(log):
    found = gate_evidence.off_policy(Says(0.01, 0.60), log)
    assert (found.held, found.number) == (True, None)
    assert f"{len(log)} decisions were drawn" in found.sentence


def test_a_challenger_of_other_features_than_the_log_holds_is_not_judged_by_it():
    scorer = Says(0.3, 0.1)
    scorer.features = ("channel_code", "brand_new")
    assert gate_evidence.off_policy(scorer, LOG).number is None


def test_choices_that_never_converted_bound_no_gain_and_refuse_nobody():
    silent = [Choice(**(vars(each) | {"converted": False})) for each in LOG[:500]]
    found = gate_evidence.off_policy(Says(0.01, 0.60), silent)
    assert (found.held, found.number) == (True, None)


class Reads:
    """A model of two features."""

    features = ("purchase_count_30d", "channel_sent_count_30d")

    def __init__(self):
        self.vocabularies = {}


def weeks(days, count, sent=1.0):
    at = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(np.array(days), unit="D")
    dice = np.random.default_rng(5)
    counts = dice.poisson(count, len(at)).astype(float)
    columns = {"channel": "email", "purchase_count_30d": counts, "channel_sent_count_30d": sent}
    return pd.DataFrame({"decided_at": at, "engagement_as_of": at, "delivery_as_of": at, **columns})


def test_a_window_that_fills_is_no_drift_and_a_jump_is():
    days = np.repeat(np.arange(40), 100)
    filling = weeks(days, np.minimum(days, 30) / 5)
    then, now = filling[days < 32], filling[days >= 32]
    assert drift.psi(then["purchase_count_30d"], now["purchase_count_30d"]) > gate_evidence.PSI_LIMIT
    assert gate_evidence._drift(then, now, Reads())["purchase_count_30d"] < 0.1
    jumped = weeks(days[days >= 32], 12.0)
    assert gate_evidence._drift(then, jumped, Reads())["purchase_count_30d"] > gate_evidence.PSI_LIMIT


def test_how_often_we_wrote_is_no_drift_of_the_people():
    days = np.arange(40)
    assert list(gate_evidence._drift(weeks(days[:30], 3.0), weeks(days[30:], 3.0, sent=9.0), Reads())) == [
        "purchase_count_30d"
    ]

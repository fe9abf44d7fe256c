"""What the customers' gate makes of purchases, and who is promoted."""

import numpy as np
import pandas as pd
import pytest

from adapters.model_registry import Version
from assets.steps import customer_gate
from assets.steps.customer_models import AGAINST, PASSED, REASONS
from models.lifetime_value import gate, score, spec, summary, value

START = pd.Timestamp("2026-01-01", tz="UTC")
DAYS = 180


def purchases(*, seed=1, count=300, stops=None):
    """Return purchases of customers of differing rates over 180 days; ``stops`` is a day from which nobody buys."""
    dice = np.random.default_rng(seed)
    rows = []
    for who, rate in enumerate(dice.gamma(0.9, 1 / 12, count)):
        at = dice.uniform(0, 60)
        until = at + dice.exponential(150)
        while at < min(until, stops or DAYS, DAYS):
            rows.append((f"t\tr{who}", START + pd.Timedelta(days=at), dice.gamma(6, 200)))
            at += dice.exponential(1 / rate)
    last = START + pd.Timedelta(days=DAYS, seconds=-1)
    return pd.DataFrame([*rows, ("t\tlast", last, 1_000.0)], columns=["recipient_id", "at", "amount"])


def fitted(name, bought):
    _, customers = summary.of_purchases(bought, end=START + pd.Timedelta(days=DAYS))
    files = score.to_files(name, value.fit(customers))
    return score.Scorer.from_files(files), files


def broken(found):
    return {each.condition for each in found if not each.held}


@pytest.mark.parametrize("name", [spec.VALUE, spec.CHURN])
def test_a_model_of_steady_customers_passes_beside_itself(name):
    bought = purchases()
    scorer, files = fitted(name, bought)
    judged = customer_gate.judge(name, bought, scorer, scorer)
    assert len(judged.came) > 200
    assert broken(gate.findings(judged)) == set()
    assert broken(gate.fit_to_serve(name, customer_gate.show(scorer, files, bought))) == set()
    _, drift = customer_gate._drift(bought)
    assert drift.held
    assert customer_gate._held_out(judged).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", [spec.VALUE, spec.CHURN])
def test_customers_who_all_stop_are_told_with_numbers(name):
    bought = purchases(stops=150)
    scorer, _ = fitted(name, bought)
    found = list(gate.findings(customer_gate.judge(name, bought, scorer, None)))
    assert "observed_expected" in broken(found)
    assert any("observed over expected" in each.sentence for each in found)


class Registry:
    """Two aliases that move."""

    model = "churn"

    def __init__(self, champion=None, **tags):
        self.aliases = {"challenger": Version("churn", "2", "r", tags), "champion": champion}

    def version(self, alias):
        return self.aliases[alias]

    def set_alias(self, alias, version):
        self.aliases[alias] = version


CHAMPION = Version("churn", "1", "r", {})


def test_only_who_passed_against_todays_champion_is_promoted():
    good = Registry(CHAMPION, **{PASSED: "true", AGAINST: "1"})
    assert customer_gate.promote(good).version == "2"
    assert (good.aliases["champion"].version, good.aliases["previous"].version) == ("2", "1")
    assert customer_gate.promote(good).version == "2", "doing it again changes nothing"
    for registry in (
        Registry(CHAMPION, **{PASSED: "false", AGAINST: "1", REASONS: "skill -0.2"}),
        Registry(CHAMPION, **{PASSED: "true", AGAINST: "9"}),
        Registry(CHAMPION),
    ):
        with pytest.raises(customer_gate.NotPromoted, match="has not passed"):
            customer_gate.promote(registry)
        assert registry.aliases["champion"] is CHAMPION

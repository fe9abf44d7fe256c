"""The simulator itself: nothing is lost, chance is paired, and people behave as published populations do."""

import numpy as np
import pandas as pd
import pytest

from models.simulator import answers
from models.simulator.policies import by_name
from models.simulator.run import simulate
from models.simulator.scenarios import CHANNELS, REALISTIC, SCENARIOS
from models.simulator.state import BadPolicy, Sends


def lived(policy="cap:7", *, scenario="realistic", people=200, days=21, seed=5):
    made = by_name(policy) if isinstance(policy, str) else policy
    return simulate(SCENARIOS[scenario], made, people=people, days=days, seed=seed)


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("policy", ["cap:21", "cap:3:sms", "none"])
def test_every_message_asked_for_is_sent_or_withheld_and_every_count_is_in_the_tables(scenario, policy):
    run = lived(policy, scenario=scenario)
    daily = run.daily.set_index("day")
    assert (daily["asked"] == daily["sent"] + daily["without_consent"]).all()
    by_day = run.sends.groupby("day").agg(sent=("opened", "size"), opened=("opened", "sum"), bought=("bought", "sum"))
    for name in by_day:
        assert daily[name].sub(by_day[name], fill_value=0).eq(0).all()
    visits = run.visits.groupby("day").size().reindex(daily.index, fill_value=0)
    assert (daily["visits"] == visits).all()
    assert (daily["sessions"] == visits + daily["opened"]).all()
    assert (daily["active"] <= run.people).all()
    assert (run.sends["bought"] <= run.sends["opened"]).all()
    assert (run.sends["cents"] > 0).equals(run.sends["bought"] > 0)
    assert run.sends["delay"].notna().equals(run.sends["opened"] > 0)


def test_consent_ends_with_the_opt_out_and_reach_counts_exactly_those():
    run = lived("cap:21", people=1000, days=42)
    left = run.sends[run.sends["opted_out"] > 0]
    assert len(left) > 50
    assert not left.duplicated(["person", "channel"]).any()
    moments = run.sends.assign(time=run.sends["day"] + run.sends["hour"] / 24)
    last = moments.groupby("person")["time"].max()
    assert (moments.loc[left.index, "time"].to_numpy() == last[left["person"]].to_numpy()).all()
    agreed = run.population.consent[:, 0].sum()
    assert run.daily["reach.push"].iloc[-1] == pytest.approx((agreed - len(left)) / agreed, abs=1e-12)
    assert run.population.consent[run.sends["person"].astype(int), 0].all()


def test_who_opted_out_in_the_morning_gets_nothing_that_day():
    def eager(state):
        who = np.repeat(np.flatnonzero(state.seen.consent[:, 2]), 6)
        hour = np.tile(np.arange(8.0, 20.0, 2), len(who) // 6)
        ones = np.ones(len(who))
        return Sends(who, np.full(len(who), 2), np.full(len(who), state.shown[0]), hour, ones)

    run = lived(eager, people=1000, days=3)
    assert run.daily["without_consent"].iloc[0] > 0


def test_the_same_seed_gives_the_same_days_and_another_gives_others():
    one, same, other = lived(), lived(), lived(seed=6)
    for name in ("daily", "sends", "visits"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(same, name), check_exact=True)
    assert not one.daily.equals(other.daily)


def test_two_policies_of_one_seed_meet_the_same_people_in_the_same_mood():
    none, null = lived("none", scenario="null"), lived("cap:21", scenario="null")
    assert (none.daily["visits"] == null.daily["visits"]).all()
    assert (none.daily["active"] == null.daily["active"]).all()
    np.testing.assert_array_equal(none.population.consent, null.population.consent)


@pytest.mark.parametrize("scenario", ["realistic", "easy", "misspecified", "nonstationary", "low_rate"])
def test_the_oracle_is_opened_at_least_as_often_as_every_policy_on_the_same_seeds(scenario):
    rivals = ("cap:3", "hour:3", "fit:3")
    rates = {policy: [] for policy in (*rivals, "oracle:3")}
    for seed in range(3):
        for policy, found in rates.items():
            daily = lived(policy, scenario=scenario, people=800, days=28, seed=seed).daily
            found.append(daily["opened"].sum() / daily["sent"].sum())
    for policy in rivals:
        gains = np.array(rates["oracle:3"]) - np.array(rates[policy])
        assert gains.mean() > 0, policy
        assert (gains > 0).sum() >= 2, policy


def test_in_the_null_scenario_the_oracle_is_no_better_than_chance():
    difference = []
    for seed in range(6):
        rates = [lived(policy, scenario="null", people=500, seed=seed).daily for policy in ("oracle:7", "cap:7")]
        difference.append(np.subtract(*[daily["opened"].sum() / daily["sent"].sum() for daily in rates]))
    # The same people in the same mood with the same chance: not nearly equal but equal.
    assert difference == [0.0] * 6


@pytest.fixture(scope="module")
def published():
    """Return 84 days of 4,000 people by pushes a week."""
    return {
        times: simulate(REALISTIC, by_name(f"cap:{times}"), people=4000, days=84, seed=1) for times in (1, 3, 7, 21)
    }


@pytest.mark.parametrize(
    ("times", "rate", "first_week", "reach"),
    [(1, 0.044, 0.001, 0.99), (3, 0.046, 0.002, 0.96), (7, 0.040, 0.009, 0.86), (21, 0.028, 0.080, 0.35)],
)
def test_opens_opt_outs_and_reach_are_near_what_was_measured_before(published, times, rate, first_week, reach):
    run = published[times]
    daily, agreed = run.daily, run.population.consent[:, 0].sum()
    assert daily["opened"].sum() / daily["sent"].sum() == pytest.approx(rate, rel=0.30)
    assert daily["opted_out"][:7].sum() / agreed == pytest.approx(first_week, rel=0.30, abs=0.002)
    assert daily["reach.push"].iloc[-1] == pytest.approx(reach, abs=0.08)


def test_many_messages_bring_more_visits_at_first_and_fewer_in_the_end(published):
    few, many = (published[times].daily["sessions"].to_numpy().reshape(12, 7).sum(axis=1) for times in (1, 21))
    people_days = 4000 * 7
    assert many[0] / people_days == pytest.approx(0.608, abs=0.03)
    assert few[0] / people_days == pytest.approx(0.566, abs=0.03)
    assert many[0] > 1.05 * few[0]
    assert many[-1] < 0.98 * few[-1]


def test_the_more_is_sent_the_less_is_opened_and_the_fewer_remain(published):
    rates = [published[times].daily["opened"].sum() / len(published[times].sends) for times in (1, 3, 7, 21)]
    reach = [published[times].daily["reach.push"].iloc[-1] for times in (1, 3, 7, 21)]
    assert rates == sorted(rates, reverse=True)
    assert reach == sorted(reach, reverse=True)


def test_the_swap_turns_the_best_variant_into_the_worst():
    found = {}

    def watching(state):
        found[state.day] = state.truth.variants.quality.copy()
        return Sends.nothing()

    lived(watching, scenario="nonstationary", people=5, days=10)
    np.testing.assert_array_equal(found[4], -found[5])
    assert found[4].argmax() == found[5].argmin()


def test_variants_that_retired_are_not_shown_and_new_ones_come():
    shown = {}

    def watching(state):
        shown[state.day] = set(state.shown.tolist())
        return Sends.nothing()

    lived(watching, people=5, days=10)
    assert shown[0] - shown[9]
    assert shown[9] - shown[0]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"who": [200]}, "who"),
        ({"channel": [len(CHANNELS)]}, "channel"),
        ({"variant": [99]}, "variant"),
        ({"hour": [24.0]}, "hour"),
        ({"probability": [0.0]}, "probability"),
        ({"hour": [1.0, 2.0]}, "hour: expected 1 values"),
    ],
)
def test_a_policy_that_asks_for_what_cannot_be_is_refused(change, told):
    parts = {"who": [0], "channel": [0], "variant": [3], "hour": [9.0], "probability": [1.0]} | change
    asked = Sends(**{name: np.array(part) for name, part in parts.items()})
    with pytest.raises(BadPolicy, match=told):
        lived(lambda _: asked, days=1)


def test_more_messages_a_day_than_there_is_mood_for_are_refused():
    asked = Sends(np.zeros(7, int), np.zeros(7, int), np.full(7, 3), np.arange(7.0), np.ones(7))
    with pytest.raises(BadPolicy, match="at most 6 times a day"):
        lived(lambda _: asked, days=1)


def test_numbers_of_visits_follow_poisson_and_never_fall_with_the_mean():
    uniform = (np.arange(200_000) + 0.5) / 200_000
    one, two = (answers.numbers(np.full(len(uniform), mean), uniform) for mean in (1.3, 1.5))
    assert one.mean() == pytest.approx(1.3, abs=1e-3)
    assert one.var() == pytest.approx(1.3, abs=5e-3)
    assert (two >= one).all()


def test_numbers_of_visits_end_for_every_uniform():
    extreme = np.array([np.nextafter(1.0, 0.0), 0.0])
    many, none = answers.numbers(np.array([30.0, 30.0]), extreme)
    assert 60 < many < 200
    assert none == 0

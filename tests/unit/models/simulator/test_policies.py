"""The named policies: how often, when and what they send."""

import numpy as np
import pytest

from models.simulator.policies import by_name
from models.simulator.run import simulate
from models.simulator.scenarios import REALISTIC, SCENARIOS
from models.simulator.state import BadPolicy


def sends(name, *, people=150, days=28, scenario=REALISTIC):
    return simulate(scenario, by_name(name), people=people, days=days, seed=2)


@pytest.mark.parametrize("times", [1, 3, 7, 21, 42])
def test_a_cap_sends_exactly_so_many_in_any_seven_days(times):
    run = sends(f"cap:{times}", scenario=SCENARIOS["null"])
    stayed = set(np.flatnonzero(run.population.consent[:, 0])) - set(run.sends.loc[run.sends.opted_out > 0, "person"])
    counted = run.sends[run.sends["person"].isin(stayed)].groupby(["person", "day"]).size().unstack(fill_value=0)
    counts = counted.reindex(columns=range(28), fill_value=0).to_numpy()
    for first in range(22):
        assert (counts[:, first : first + 7].sum(axis=1) == times).all()


@pytest.mark.parametrize("name", ["cap:21", "hour:21", "oracle:21", "fit:2", "hour:3"])
def test_messages_go_out_by_day_only_and_never_two_at_one_moment(name):
    run = sends(name)
    assert run.sends["hour"].between(8, 22, inclusive="left").all()
    assert not run.sends.duplicated(["person", "day", "hour"]).any()


def test_the_channel_is_the_one_asked_for():
    assert set(sends("cap:3:email").sends["channel"]) == {1}


def test_the_probability_of_a_variant_by_chance_is_that_of_the_draw():
    run = sends("cap:7", people=800)
    first = run.sends[run.sends["day"] == 0]
    assert (first["probability"] == 1 / 10).all()
    shares = first["variant"].value_counts(normalize=True)
    assert len(shares) == 10
    assert shares.between(0.04, 0.18).all()


def test_the_own_hour_is_near_where_the_person_is_active():
    run = sends("hour:7", people=600, days=56)
    late = run.sends[run.sends["day"] >= 42]
    profile = run.population.profile[late["person"].astype(int), late["hour"].astype(int)]
    chance = run.population.profile[late["person"].astype(int), 8:22].mean(axis=1)
    assert profile.mean() > 1.3 * chance.mean()


@pytest.mark.parametrize(
    "name", ["", "cap", "cap:", "cap:-1", "cap:x", "best:3", "cap:43", "cap:3:fax", "none:3", "cap:3:sms:x"]
)
def test_a_name_that_is_no_policy_is_refused_with_what_there_is(name):
    with pytest.raises(BadPolicy, match="expected"):
        by_name(name)

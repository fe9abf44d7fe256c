"""Where nothing can win, little is declared to; where something can, it is found."""

from benchmarks import null_scenario


def test_few_runs_of_the_null_scenario_declare_a_gain_and_easy_ones_do():
    found = null_scenario.measure(runs=40, power_runs=4)
    assert found["any_declared"] <= null_scenario.MOST_DECLARED
    assert found["declared_in_easy"]["hour"] >= 3 / 4

"""``kairos policy`` on tables somebody brings: the agreed documents, one sentence for what is wrong, no server."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from tests.command_line import asked
from tests.decision_logs import made_log


def as_table(log):
    context = log.context.rename(columns=lambda name: f"context.{name}")
    taken = {"action": np.array(log.actions)[log.action], "action_probability": log.probability, "reward": log.reward}
    return context.assign(**taken, recipient_id=log.cluster)


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.csv"
    as_table(made_log(3000)[0]).to_csv(path, index=False)
    return path


@pytest.fixture
def run(kairos):
    """Return a call of ``kairos policy``."""
    return partial(kairos, "policy")


def probabilities(log, path, **columns):
    pd.DataFrame({f"p.{name}": np.full(len(log), share) for name, share in columns.items()}).to_csv(path, index=False)
    return path


def test_a_policy_is_trained_judged_and_applied_from_tables_alone(run, log, tmp_path):
    policy, fresh, out = tmp_path / "p.json", tmp_path / "fresh.parquet", tmp_path / "a.csv"
    as_table(made_log(3000, seed=1)[0]).to_parquet(fresh)
    assert asked(run, "train", "--log", log, "--out", policy)["rows"] == 3000
    found = asked(run, "evaluate", "--log", fresh, "--policy", policy)
    assert found["verdict"] == "usable"
    assert found["gains"]["over_log"]["low"] > 0
    assert run("choose", "--policy", policy, "--features", fresh, "--out", out)[0] == 0
    chosen = pd.read_csv(out)
    assert list(chosen) == ["row", "action", "p.a", "p.b", "p.c"]
    assert chosen["row"].tolist() == list(range(3000))
    assert (chosen["action"] == "c").mean() == pytest.approx(chosen["p.c"].mean(), abs=0.05)


def test_the_log_a_policy_was_trained_on_is_recognised(run, log, tmp_path):
    asked(run, "train", "--log", log, "--out", tmp_path / "p.json")
    found = asked(run, "evaluate", "--log", log, "--policy", tmp_path / "p.json")
    assert any("trained on this very log" in warning for warning in found["warnings"])


def test_the_same_seed_writes_the_same_files(run, log, tmp_path):
    for name in ("one.json", "two.json"):
        run("train", "--log", log, "--out", tmp_path / name, "--seed", 4)
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_probabilities_of_any_policy_are_judged(run, log, tmp_path):
    table = probabilities(pd.read_csv(log), tmp_path / "t.csv", a=0.1, b=0.1, c=0.8)
    found = asked(run, "evaluate", "--log", log, "--probabilities", table)
    rows = pd.read_csv(log)
    weight = rows["action"].map({"a": 0.1, "b": 0.1, "c": 0.8}) / rows["action_probability"]
    assert found["estimates"]["ips"]["value"] == pytest.approx((weight * rows["reward"]).mean(), abs=1e-12)
    assert found["max_weight"] == pytest.approx(weight.max())


def test_columns_for_each_position_are_read_at_the_rows_own(run, log, tmp_path):
    rows = pd.read_csv(log).assign(position=np.arange(3000) % 2 + 1)
    rows.to_csv(log, index=False)
    columns = {"p.a.1": 0.8, "p.b.1": 0.1, "p.c.1": 0.1, "p.a.2": 0.2, "p.b.2": 0.2, "p.c.2": 0.6}
    pd.DataFrame({name: np.full(3000, share) for name, share in columns.items()}).to_csv(tmp_path / "t.csv")
    found = asked(run, "evaluate", "--log", log, "--probabilities", tmp_path / "t.csv")
    chance = [columns[f"p.{action}.{position}"] for action, position in zip(rows.action, rows.position, strict=True)]
    assert found["mean_weight"] == pytest.approx((chance / rows["action_probability"]).mean(), abs=1e-12)


def test_uplift_gives_each_row_an_effect(run, log, tmp_path):
    found = asked(run, "uplift", "--log", log, "--treatment", "c", "--control", "a", "--out", tmp_path / "s.csv")
    assert {"n", "ate", "qini", "heterogeneity"} <= found.keys()
    assert found["ate"]["low"] <= 0.1 <= found["ate"]["high"]
    assert found["heterogeneity"] == "not reliable"
    scores = pd.read_csv(tmp_path / "s.csv")
    assert list(scores) == ["row", "action", "effect"]
    assert len(scores) == 3000
    assert scores["effect"].notna().all()


def test_eligible_actions_bound_the_choice(run, log, tmp_path):
    asked(run, "train", "--log", log, "--out", tmp_path / "p.json")
    features = pd.read_csv(log)[["context.x", "context.kind"]].assign(eligible="a|b")
    features.to_csv(tmp_path / "f.csv", index=False)
    run("choose", "--policy", tmp_path / "p.json", "--features", tmp_path / "f.csv", "--out", tmp_path / "a.csv")
    chosen = pd.read_csv(tmp_path / "a.csv")
    assert set(chosen["action"]) == {"a", "b"}
    assert (chosen["p.c"] == 0).all()


@pytest.mark.parametrize("column", ["action", "action_probability", "reward"])
def test_a_missing_column_is_named(run, log, tmp_path, column):
    pd.read_csv(log).drop(columns=column).to_csv(log, index=False)
    code, _, err = run("train", "--log", log, "--out", tmp_path / "p.json")
    assert code == 2
    assert f"missing: {column};" in err
    assert not (tmp_path / "p.json").exists()


@pytest.mark.parametrize("share", [0, -0.5, 1.5])
def test_what_is_no_probability_is_refused(run, log, tmp_path, share):
    rows = pd.read_csv(log).astype({"action_probability": float})
    rows.loc[5, "action_probability"] = share
    rows.to_csv(log, index=False)
    table = probabilities(rows, tmp_path / "t.csv", a=0.1, b=0.1, c=0.8)
    found = asked(run, "evaluate", "--log", log, "--probabilities", table)
    assert found["verdict"] == "refused"
    assert "(0, 1]" in found["warnings"][0]
    code, _, err = run("train", "--log", log, "--out", tmp_path / "p.json")
    assert (code, "row 5" in err) == (1, True)


def test_a_table_of_probabilities_that_do_not_sum_to_one_is_refused(run, log, tmp_path):
    table = probabilities(pd.read_csv(log), tmp_path / "t.csv", a=0.1, b=0.1, c=0.1)
    code, _, err = run("evaluate", "--log", log, "--probabilities", table)
    assert (code, "sum to 1" in err) == (2, True)


def test_a_table_with_too_few_rows_or_actions_is_refused(run, log, tmp_path):
    short = probabilities(range(10), tmp_path / "t.csv", a=0.1, b=0.1, c=0.8)
    assert "has 10 rows, the log has 3000" in run("evaluate", "--log", log, "--probabilities", short)[2]
    narrow = probabilities(range(3000), tmp_path / "t.csv", a=0.5, b=0.5)
    assert "missing: p.c" in run("evaluate", "--log", log, "--probabilities", narrow)[2]


@pytest.mark.parametrize("content", ["", "not json", "{}", '{"schema": "kairos.policy/9"}'])
def test_a_file_that_is_no_policy_is_refused(run, log, tmp_path, content):
    (tmp_path / "p.json").write_text(content)
    code, _, err = run("evaluate", "--log", log, "--policy", tmp_path / "p.json")
    assert (code, "p.json" in err) == (2, True)


def test_a_file_that_is_not_there_is_named(run, tmp_path):
    code, _, err = run("train", "--log", tmp_path / "none.csv", "--out", tmp_path / "p.json")
    assert (code, "none.csv" in err) == (2, True)


def test_evaluate_wants_a_policy_or_probabilities(run, log):
    code, _, err = run("evaluate", "--log", log)
    assert (code, "either --policy or --probabilities" in err) == (2, True)


def test_an_open_bandit_log_is_read_as_it_comes(run, log, tmp_path):
    rows = pd.read_csv(log)
    names = {"action": "item_id", "action_probability": "propensity_score", "reward": "click"}
    bandit = rows.rename(columns=names)[list(names.values())].assign(timestamp="2019-11-24", user_feature_0="x")
    bandit.to_csv(tmp_path / "bandit.csv.gz")
    table = probabilities(rows, tmp_path / "t.csv", a=0.1, b=0.1, c=0.8)
    theirs = asked(run, "evaluate", "--log", tmp_path / "bandit.csv.gz", "--probabilities", table)
    assert theirs["estimates"]["ips"] == pytest.approx(
        asked(run, "evaluate", "--log", log, "--probabilities", table)["estimates"]["ips"], rel=0.05
    )

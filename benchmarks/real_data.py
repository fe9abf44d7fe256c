"""What is learnt from real logs: engagement, an off-policy value that was published, and a randomised trial of e-mails.

The data lie beside the checkout, in ``../shared/data``; a row whose folder is not there says ``data absent``.

- **engagement** The Complete Journey, cut at 2017-07-01 New York time: AUC and log-loss with 95 % intervals over
  households against logistic regression on the same rows, and calibration.
- **open_bandit** The value of the Thompson policy on the uniform log: 0.004553, and 1.1981263 of the uniform policy's.
- **hillstrom** Whether people differ in what the women's and the men's e-mail do to them, as ``kairos policy uplift``
  says it: the first surely, the second not surely.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from adapters.action_probabilities import aligned
from adapters.decision_log_files import read_log
from benchmarks import real_engagement
from models.engagement import evaluate, train
from models.off_policy.evaluate import evaluate as judge
from models.off_policy.log import DecisionLog

DATA = Path(__file__).parents[2] / "shared/data"
PUBLISHED_VALUE, PUBLISHED_RELATIVE = 0.00455288, 1.1981263
PUBLISHED_DRAWS, PUBLISHED_SEED = 100_000, 12_345
ITEMS, PLACES = 80, 3
NEAR = 1e-6
LEAST_QINI, MOST_QINI = 0.04, 0.025
BEFORE = ("recency", "history_segment", "history", "mens", "womens", "zip_code", "newbie", "channel")


def absent(folder: Path) -> dict[str, Any] | None:
    """Return the row of data that are not there."""
    return None if folder.is_dir() else {"skipped": f"data absent: {folder.name}", "met": None}


def engagement() -> dict[str, Any]:
    """Return how well the engagement model tells redemptions of the quarter after the cut."""
    folder = DATA / "completejourney"
    if (missing := absent(folder)) is not None:
        return missing
    before, after = real_engagement.split(folder, real_engagement.JULY, real_engagement.OCTOBER)
    model = train.fit(before, seed=real_engagement.SEED)
    ours, plain = (
        real_engagement.report(model, after, p)
        for p in (model.predict(after.matrix), evaluate.logistic_baseline(before, after))
    )
    told = {name: _numbers(report) for name, report in (("xgboost", ours), ("logistic", plain))}
    return {
        "rows": ours.n,
        "positives": ours.positives,
        "households": ours.recipients,
        **told,
        "beats_logistic": bool(ours.log_loss < plain.log_loss),
        "met": bool(ours.log_loss < plain.log_loss and evaluate.passes_gate(ours, None).passed),
    }


def _numbers(report: evaluate.Report) -> dict[str, Any]:
    names = ("auc", "log_loss", "skill", "ece", "slope", "observed_expected")
    made: dict[str, Any] = {name: round(float(getattr(report, name)), 4) for name in names}
    made["intervals"] = {name: [round(each.low, 4), round(each.high, 4)] for name, each in report.intervals.items()}
    return made


def open_bandit() -> dict[str, Any]:
    """Return the value of the published Thompson policy on the published uniform log."""
    folder = DATA / "obd"
    if (missing := absent(folder)) is not None:
        return missing
    log = read_log(folder / "random_all.csv.gz")
    policy = thompson_policy(folder, log)
    found = judge(log, policy, model=np.full(policy.shape, log.reward.mean()), seed=0)
    value = found.estimates["ips"].value
    relative = value / float(log.reward.mean())
    near = abs(value - PUBLISHED_VALUE) <= NEAR and abs(relative - PUBLISHED_RELATIVE) <= NEAR
    return {
        "rows": len(log),
        "ips": value,
        "relative": relative,
        "snips": found.estimates["snips"].value,
        "verdict": found.verdict,
        "met": bool(near),
    }


def thompson_policy(folder: Path, log: DecisionLog) -> Any:
    """Return the published policy's chance of each action of the log in each row."""
    prior = yaml.safe_load((folder / "prior_bts.yaml").read_text())["all"]
    rng = np.random.RandomState(PUBLISHED_SEED)
    drawn = rng.beta(prior["alpha"], prior["beta"], size=(PUBLISHED_DRAWS, ITEMS))
    shown = drawn.argsort(axis=1)[:, ::-1][:, :PLACES]
    chances = [np.bincount(shown[:, place], minlength=ITEMS) / PUBLISHED_DRAWS for place in range(PLACES)]
    columns = {f"{item}.{place + 1}": chances[place][item] for item in range(ITEMS) for place in range(PLACES)}
    return aligned(pd.DataFrame(columns, index=range(len(log))), log, folder / "prior_bts.yaml")


def hillstrom() -> dict[str, Any]:
    """Return the verdicts on both e-mails, as ``kairos policy uplift`` gives them."""
    folder = DATA / "hillstrom"
    if (missing := absent(folder)) is not None:
        return missing
    with tempfile.TemporaryDirectory() as made:
        table = Path(made) / "trial.csv"
        as_trial(folder).to_csv(table, index=False)
        womens, mens = (told(table, name) for name in ("Womens E-Mail", "Mens E-Mail"))
    reliable = womens["heterogeneity"] == "reliable" and womens["qini"]["value"] > LEAST_QINI
    unsure = mens["heterogeneity"] == "not reliable" and mens["qini"]["value"] < MOST_QINI
    return {"womens": womens, "mens": mens, "met": bool(reliable and unsure)}


def told(table: Path, mail: str) -> dict[str, Any]:
    """Return what ``kairos policy uplift`` says of an e-mail beside none."""
    arms = ["--treatment", mail, "--control", "No E-Mail", "--out", str(table.with_suffix(".scores.csv"))]
    command = [sys.executable, "-m", "cli.app", "policy", "uplift", "--log", str(table), *arms, "--json"]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own command
    answer: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return answer


def as_trial(folder: Path) -> pd.DataFrame:
    """Return the half of the trial that has outcomes, as the table that ``kairos policy`` reads."""
    rows = pd.read_csv(folder / "hillstrom_train.csv")
    table = rows[list(BEFORE)].add_prefix("context.")
    return table.assign(action=rows["segment"], action_probability=1 / 3, reward=rows["visit"])

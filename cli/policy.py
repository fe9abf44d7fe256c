"""``kairos policy``: learn from and judge on a log of decisions that somebody brings. No server is needed.

The table has the columns ``context.*, action, action_probability, reward [, eligible, recipient_id, position, at]``.
A log that is read but cannot answer is no failure of the command: the verdict says ``refused``, and why.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.exit_codes import ExitCode, Refused

if TYPE_CHECKING:
    from models.off_policy.log import DecisionLog, Floats
    from models.off_policy.policy import LearnedPolicy

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Train, judge and apply a policy on a decision log of yours.",
)

LogFile = Annotated[Path, typer.Option("--log", help="Table of decisions: CSV or Parquet.", metavar="FILE")]
Seed = Annotated[int, typer.Option(help="Of folds, trees and draws; the same seed gives the same answer.", min=0)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of sentences.")]


@app.command()
def train(
    log: LogFile,
    out: Annotated[Path, typer.Option(help="Where the policy goes (JSON).", metavar="FILE")],
    *,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Train a policy on a log; it explores, and is never more complex than the log can show to pay."""
    from adapters.decision_log_files import read_log
    from adapters.policy_file import write_policy
    from models.off_policy import train as training

    with _refusing(), _progress("training") as progress:
        policy = training.train(read_log(log), seed=seed, progress=progress)
        write_policy(policy, out)
    facts = dict(policy.trained_on)
    if as_json:
        print(json.dumps({"out": str(out), **facts}))
        return
    for warning in facts["warnings"]:
        print(f"warning: {warning}")
    print(f"{out}: trained on {facts['rows']:,} rows, learner: {facts['learner']}")
    gain = facts["gain_over_log"]
    if gain["low"] is not None and gain["low"] > 0 and not facts["warnings"]:
        print(f"on rows it did not see it gains {_told(gain)} per decision over the log")
    else:
        print("no gain over the log can be told")


@app.command()
def evaluate(
    log: LogFile,
    *,
    policy: Annotated[Path | None, typer.Option(help="Policy of `kairos policy train`.", metavar="FILE")] = None,
    probabilities: Annotated[
        Path | None, typer.Option(help="Or a table p.<action> with a row for each row of the log.", metavar="FILE")
    ] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Tell what a policy would have earned in place of the log's, or why nobody can."""
    from models.off_policy.evaluate import evaluate as judge

    if (policy is None) == (probabilities is None):
        raise Refused("name either --policy or --probabilities", ExitCode.USAGE)
    with _refusing(), _progress("evaluating") as progress:
        rows, chances, known = _of_policy(log, policy) if policy else _of_table(log, probabilities)
        found = judge(rows, chances, seed=seed, known=known, progress=progress)
    answer = found.as_json()
    if as_json:
        print(json.dumps(answer, allow_nan=False))
        return
    _tell(answer)


@app.command()
def choose(
    policy: Annotated[Path, typer.Option(help="Policy of `kairos policy train`.", metavar="FILE")],
    features: Annotated[Path, typer.Option(help="Table of context.* [, eligible].", metavar="FILE")],
    out: Annotated[Path, typer.Option(help="Where row, action and p.<action> go: CSV or Parquet.", metavar="FILE")],
    *,
    seed: Seed = 0,
) -> None:
    """Draw an action for each row, and write the probabilities it was drawn with."""
    from adapters.decision_log_files import read_features, with_scores, write_table
    from adapters.policy_file import read_policy
    from models.off_policy.policy import draw

    with _refusing():
        learned = read_policy(policy)
        context, eligible = read_features(features, learned.actions)
        chances = learned.probabilities(context, eligible)
        drawn = draw(chances, seed)
        columns: dict[str, Any] = {"action": [learned.actions[index] for index in drawn]}
        columns |= {f"p.{name}": chances[:, index] for index, name in enumerate(learned.actions)}
        write_table(with_scores(columns), out)
    print(f"{out}: {len(drawn):,} rows", file=sys.stderr)


@app.command()
def uplift(
    log: LogFile,
    treatment: Annotated[str, typer.Option(help="The action whose effect is asked for.")],
    control: Annotated[str, typer.Option(help="The action it is compared with.")],
    out: Annotated[Path, typer.Option(help="Where row, action and effect go: CSV or Parquet.", metavar="FILE")],
    *,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Estimate each row's effect of one action over another, and whether rows differ at all."""
    from adapters.decision_log_files import read_log, with_scores, write_table
    from models.uplift import learner

    with _refusing(), _progress("uplift") as progress:
        rows = read_log(log)
        found = learner.uplift(rows, treatment, control, seed=seed, progress=progress)
        taken = [rows.actions[index] for index in rows.action]
        write_table(with_scores({"action": taken, "effect": found.effect}), out)
    answer = found.as_json()
    if as_json:
        print(json.dumps(answer, allow_nan=False))
        return
    print(f"{out}: {answer['n']:,} rows of both actions; mean effect {_told(answer['ate'])}")
    print(f"Qini {_told(answer['qini'])}; heterogeneity: {answer['heterogeneity']}")
    for warning in answer["warnings"]:
        print(f"warning: {warning}")


def _of_policy(log: Path, policy: Path) -> "tuple[DecisionLog, Floats, tuple[str, ...]]":
    from adapters.decision_log_files import read_log, refuse_nothing_eligible
    from adapters.policy_file import read_policy

    learned = read_policy(policy)
    rows = read_log(log, also=learned.actions)
    places = [rows.actions.index(name) for name in learned.actions]
    refuse_nothing_eligible(rows.eligible[:, places], log)
    chances = _zeros(rows)
    chances[:, places] = learned.probabilities(rows.context, rows.eligible[:, places])
    return rows, chances, _known(learned, rows)


def _of_table(log: Path, probabilities: Path | None) -> "tuple[DecisionLog, Floats, tuple[str, ...]]":
    from adapters.action_probabilities import actions_named, aligned, read_probabilities
    from adapters.decision_log_files import read_log

    assert probabilities is not None  # noqa: S101 - the caller has one of both
    table = read_probabilities(probabilities)
    names = actions_named(table, read_log(log).position)
    rows = read_log(log, also=names)
    return rows, aligned(table, rows, probabilities), ()


def _zeros(rows: "DecisionLog") -> "Floats":
    import numpy as np

    return np.zeros((len(rows), len(rows.actions)))


def _known(learned: "LearnedPolicy", rows: "DecisionLog") -> tuple[str, ...]:
    if learned.trained_on.get("digest") != rows.digest:
        return ()
    return ("the policy was trained on this very log: its values are too good; judge it on rows it never saw",)


def _tell(answer: dict[str, Any]) -> None:
    print(f"verdict: {answer['verdict']}")
    for warning in answer["warnings"]:
        print(f"warning: {warning}")
    if answer["verdict"] == "refused":
        return
    print(f"{answer['n']:,} rows, effective {answer['ess']:,.0f}; mean weight {answer['mean_weight']:.4f}")
    for name, interval in answer["estimates"].items():
        print(f"{name:12} {_told(interval)}")
    for name, gain in answer["gains"].items():
        if gain["low"] is not None and gain["low"] > 0:
            print(f"gain {name.replace('_', ' ')}: {_told(gain)}")


def _told(interval: dict[str, Any]) -> str:
    if interval["low"] is None or interval["high"] is None:
        return f"{interval['value']} (no interval)"
    return f"{interval['value']:.6g} [{interval['low']:.6g}, {interval['high']:.6g}]"


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn what a table or policy lacks into one sentence and an exit code."""
    from adapters.decision_log_files import BadTable
    from adapters.policy_file import BadPolicyFile
    from models.off_policy.encoding import MissingFeature
    from models.off_policy.train import CannotTrain
    from models.uplift.learner import CannotTell

    try:
        yield
    except (BadTable, BadPolicyFile, MissingFeature) as error:
        raise Refused(str(error), ExitCode.USAGE) from None
    except (CannotTrain, CannotTell) as error:
        raise Refused(f"refused: {error}") from None


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal, nothing elsewhere: standard error is then for what went wrong."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)

"""What the learning is measured by: a table of experiments, each with its own target, failures included.

``python -m benchmarks.science`` runs the rows of the table below, ``--only B3,B17`` some of them. B10 and B11 (the
engine of A/B tests) and B16 (the latency of a decision) are not here: their row says where they come from.

{rows}

Peers of other projects are installed for the measurement only, into environments of their own (``benchmarks.peers``);
where that is not possible the row says ``peer unavailable`` and why, and is measured without. A row whose data are not
there says ``skipped``. Neither misses a target. Settings were chosen on seeds 0 to 4; rows report seeds from 100 on.

``--journal FILE`` keeps each world as soon as it is done; the same command goes on from there. Progress goes to
standard error, and ``--json`` prints one line for machines at the end. Exit codes: 0 where no target was missed, 1
where one was, 2 where an option is wrong.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import (
    calibration,
    content_bars,
    drift,
    explanations,
    lifetime_value,
    long_volume,
    null_scenario,
    off_policy_bars,
    purchase_hours,
    real_data,
    send_time,
    sentence_vectors,
    uplift_targeting,
    volume,
    weariness,
    worlds,
)
from benchmarks.arguments import parsed

UNKNOWN = 2
"""Exit code of a row that there is not."""


@dataclass(frozen=True)
class Row:
    """One experiment.

    Attributes:
        measure: returns its numbers, ``met`` among them: None where nothing could be judged.
        about: what it asks and of whom, in one sentence, with the target.
    """

    measure: Callable[[], dict[str, Any]]
    about: str


def elsewhere(where: str) -> Row:
    """Return the row of a bar that another measurement holds."""
    return Row(lambda: {"skipped": where, "met": None}, where)


ROWS: dict[str, Row] = {
    "B1": Row(
        content_bars.content,
        "content bandit in the content world, beside Vowpal Wabbit, mabwiser and simple policies: at least 0.42 of the "
        "way from uniform to the myopic oracle, surely above the best peer",
    ),
    "B2": Row(
        content_bars.planted_effects,
        "recovering difference softmax with planted effects: Kendall's tau 0.72, 85 % of the best gain, 1e-12 from a "
        "brute-force implementation",
    ),
    "B3": Row(off_policy_bars.equality_with_obp, "six off-policy estimators against obp: at most 1e-12 apart"),
    "B4": Row(off_policy_bars.coverage, "coverage of 95 % intervals of IPS and DR, beside obp's bootstrap: 0.945-0.96"),
    "B5": Row(send_time.measure, "the hour of a message: 0.75 of the oracle's gain, 0.55 where rhythms are of no type"),
    "B6": Row(
        uplift_targeting.measure,
        "whom a message brings, beside scikit-uplift: 0.65 of the oracle's area, 0.53 of the effect in the first 30 %",
    ),
    "B7": Row(
        long_volume.twelve_weeks,
        "whom to write to in twelve weeks, beside fixed caps: 36.85 % active in weeks 11-12 with at most 3 messages a "
        "week and 4.2 % leavers",
    ),
    "B8": Row(volume.solver, "weekly levels by price: 99.9 % of what HiGHS finds; a million people within 10 s"),
    "B9": Row(volume.pace, "a price that paces a day, beside a fixed one: volume within 2 %, 97 % of the value"),
    "B10": elsewhere("comes with experiments"),
    "B11": elsewhere("comes with experiments"),
    "B12": Row(lifetime_value.measure, "BG/NBD on CDNOW, beside lifetimes: parameters within 1e-4, likelihood 1e-3"),
    "B13": Row(
        calibration.measure,
        "calibration, beside the raw booster, betacal and scikit-learn: error at most 0.005 at 5 %, slope 0.9-1.1, "
        "skill above 0 on every channel",
    ),
    "B14": Row(drift.measure, "drift from 5 % to 9 %, beside river's ADWIN: median delay 600, 1 false alarm in 10,000"),
    "B15": Row(weariness.measure, "who is weary of messages, beside a click-rate rule: 15 points more found"),
    "B16": elsewhere("comes with speed"),
    "B17": Row(
        off_policy_bars.self_test, "logged probabilities: mean weight 1, no replay differs, and a bonus is found"
    ),
    "B18": Row(explanations.measure, "explanations: contributions sum to the score and equal shap's"),
    "B19": Row(
        sentence_vectors.measure,
        "sentence vectors without torch: the published similarities within 1e-3, 10 ms a sentence",
    ),
    "B20": Row(null_scenario.measure, "where nothing can win: at most 5 % of runs declare any gain"),
    "B21": Row(
        long_volume.a_year,
        "a year of messages, beside the best of a grid of fixed caps: as many active days with 60 % of its leavers",
    ),
    "engagement": Row(
        real_data.engagement, "redemptions of The Complete Journey, beside logistic regression: the gate"
    ),
    "open_bandit": Row(real_data.open_bandit, "value of a policy on real clicks: 1.1981263 of the log's"),
    "hillstrom": Row(
        real_data.hillstrom, "randomised e-mails: people differ in one's effect and not surely in the other's"
    ),
    "purchase_hours": Row(purchase_hours.measure, "hours of real purchases: 0.10 nats over everybody's histogram"),
}


def main() -> None:
    """Run, print, and fail where a target was missed."""
    asked = parsed(
        (__doc__ or "").replace("{rows}", "\n".join(f"- {name}: {row.about}." for name, row in ROWS.items())),
        only=("", "rows, separated by commas; all where empty"),
        journal=("", "file in which worlds are kept"),
        data=("", "folder of the real data; ../shared/data beside the checkout where empty"),
    )
    names = asked.only.split(",") if asked.only else list(ROWS)
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        print(f"no such row: {', '.join(unknown)}; there are: {', '.join(ROWS)}", file=sys.stderr)
        sys.exit(UNKNOWN)
    worlds.JOURNAL = Path(asked.journal) if asked.journal else None
    if asked.data:
        real_data.DATA = Path(asked.data)
        purchase_hours.DATA = real_data.DATA / "completejourney"
    results = {}
    for name in names:
        results[name] = ROWS[name].measure()
        print(f"{name:4} {results[name]}", file=sys.stderr if asked.json else sys.stdout, flush=True)
    if asked.json:
        print(json.dumps(results))
    sys.exit(1 if any(result["met"] is False for result in results.values()) else 0)


if __name__ == "__main__":
    main()

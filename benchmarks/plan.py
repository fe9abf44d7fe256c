"""How fast an audience is planned, and how near the plan comes to the optimum that HiGHS finds for the same audience.

``python -m benchmarks.plan`` plans a million recipients with eight options (four channels, two slots) under seven
shared limits and a budget in money. The peer is scipy's HiGHS on the relaxed plan, solved whole and to its own
tolerance; it needs minutes and some gigabytes, ``--without-peer`` compares with the plan's own proven bound, which is
never below the optimum. ``--json`` prints one line for machines at the end.
"""

import json
import os
import sys
import time
from typing import Any

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_matrix, vstack

from benchmarks.arguments import parsed
from models.audience_plan.assign import make_plan
from models.audience_plan.problem import AudienceProblem

CHANNELS = 4


def main() -> None:
    """Measure and print."""
    asked = parsed(
        __doc__,
        recipients=(1_000_000, "rows of the audience"),
        options=(8, "options of each recipient"),
        seed=(0, "of the audience"),
        without_peer=(False, "compare with the proven bound only"),
    )
    result = measure(an_audience(asked.recipients, asked.options, seed=asked.seed), with_peer=not asked.without_peer)
    result["load"] = round(os.getloadavg()[0], 2)
    for name, value in result.items():
        print(f"{name:22} {value}", file=sys.stderr if asked.json else sys.stdout)
    if asked.json:
        print(json.dumps(result))


def an_audience(recipients: int, options: int, *, seed: int = 0) -> AudienceProblem:
    """Return an audience whose values are skewed, of which 30 % of the options are not permitted."""
    rng = np.random.default_rng(seed)
    values = rng.lognormal(-3, 1, (recipients, 1)) * rng.lognormal(0, 0.5, (recipients, options))
    values[rng.random(values.shape) < 0.3] = -np.inf  # noqa: PLR2004
    at = np.arange(options)
    usage = np.zeros((options, CHANNELS + 4))
    usage[at, at % CHANNELS] = 1.0
    usage[at, CHANNELS + at % 3] = 1.0
    usage[:, -1] = rng.uniform(0.001, 0.05, options)
    limits = np.array([0.2, 0.1, 0.05, 0.3, 0.15, 0.2, 0.3, 0.005]) * recipients
    return AudienceProblem.of(values, usage, limits)


def measure(problem: AudienceProblem, *, with_peer: bool) -> dict[str, Any]:
    """Return what planning took and how much of the optimum it reaches."""
    started = time.perf_counter()
    plan = make_plan(problem)
    seconds = time.perf_counter() - started
    result = {
        "recipients": problem.recipients,
        "options": problem.options,
        "seconds": round(seconds, 2),
        "items": len(plan.recipient),
        "share_of_bound": 1.0 - plan.gap,
        "largest_excess": float((plan.used - problem.limits).max()),
    }
    if with_peer:
        best, peer_seconds = optimum(problem)
        return result | {
            "share_of_optimum": plan.value / best,
            "peer": "HiGHS, interior point",
            "peer_seconds": round(peer_seconds, 1),
        }
    return result | {"share_of_optimum": 1.0 - plan.gap, "peer": "own bound"}


def optimum(problem: AudienceProblem) -> tuple[float, float]:
    """Return the relaxed optimum by HiGHS, and the seconds it took.

    Raises:
        RuntimeError: HiGHS did not find it.
    """
    rows, columns = np.nonzero(np.isfinite(problem.values))
    starts = np.searchsorted(rows, np.arange(problem.recipients + 1))
    own = csr_matrix((np.ones(len(rows)), np.arange(len(rows)), starts), shape=(problem.recipients, len(rows)))
    shared = csr_matrix(problem.usage[columns].T)
    started = time.perf_counter()
    found = linprog(
        -problem.values[rows, columns],
        A_ub=vstack([own, shared], format="csr"),
        b_ub=np.concatenate([problem.per_recipient, problem.limits]),
        bounds=(0, 1),
        method="highs-ipm",
    )
    if found.status != 0:
        raise RuntimeError(f"HiGHS: {found.message}")
    return -float(found.fun), time.perf_counter() - started


if __name__ == "__main__":
    main()

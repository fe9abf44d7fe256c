"""Fewer messages that bring as much: whom to write to how often, over twelve weeks (B7) and over a year (B21).

Everybody agreed to pushes at the start: who did not gets none, so nobody asks how many. All policies meet the same
people in the same mood (``models.simulator``), and draw variant and hour alike by chance.

B7: ``benchmarks.priced_volume`` with three messages a week against a cap of seven a week for everybody. B21: the same
without a volume, whatever is worth more than it costs, against the best of a grid of fixed caps, which is chosen with
the year's results in hand. Constants were chosen on seeds 0 and 1.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t

from benchmarks import worlds
from benchmarks.priced_volume import PricedVolume
from models.simulator.policies import by_name
from models.simulator.run import days_of
from models.simulator.scenarios import CHANNELS, SCENARIOS
from models.simulator.state import Policy

PEOPLE, WEEKS, YEAR_DAYS, LATE_DAYS = 4000, 12, 365, 14
WEEKLY = 3.0
TWELVE_WEEKS, YEAR = (0.05, 50.0), (0.15, 300.0)
"""Lasting harm and days of a channel's value that leaving costs, as far as each horizon sees them."""
LEAST_ACTIVE, MOST_WEEKLY, MOST_LEFT = 0.3685, 3.0, 0.042
TABLE_LEAD = 0.3685 - 0.3672
"""Between the target and the cap of seven in the worlds the target was taken from."""
GRID = (0, 1, 2, 3, 4, 5, 7, 10, 14)
MOST_OF_ITS_LEFT = 0.60
FIRST_SEED, WORLDS, YEARS = 100, 20, 10

_AGREED = replace(SCENARIOS["realistic"], consent=(1.0,) * len(CHANNELS))


def twelve_weeks(seeds: Iterable[int] = range(FIRST_SEED, FIRST_SEED + WORLDS)) -> dict[str, Any]:
    """Return active shares of weeks 11 and 12, messages a week and leavers of each policy, means over seeds (B7)."""
    found = worlds.each("B7", seeds, twelve_weeks_of)
    mean = {name: pd.DataFrame([one[name] for one in found]).mean() for name in found[0]}
    lead = np.array([one["priced"]["late"] - one["cap:7"]["late"] for one in found])
    ours = mean["priced"]
    few = bool(ours["weekly"] <= MOST_WEEKLY and ours["left"] <= MOST_LEFT)
    return {
        "worlds": len(found),
        **{name: each.round(4).to_dict() for name, each in mean.items()},
        "over_cap_7": round(float(lead.mean()), 5),
        "over_cap_7_low": low_of(lead),
        "met_beside_cap_7": bool(few and lead.mean() >= TABLE_LEAD),
        "met": bool(few and ours["late"] >= LEAST_ACTIVE),
    }


def twelve_weeks_of(seed: int) -> dict[str, Any]:
    """Return the same of one world."""
    policies: dict[str, Callable[[], Policy]] = {
        "priced": lambda: PricedVolume(PEOPLE, WEEKLY, *TWELVE_WEEKS, seed),
        **{name: (lambda name=name: by_name(name)) for name in ("none", "cap:3", "cap:7")},  # type: ignore[misc]
    }
    return {name: lived(make(), seed, 7 * WEEKS) for name, make in policies.items()}


def a_year(seeds: Iterable[int] = range(FIRST_SEED, FIRST_SEED + YEARS)) -> dict[str, Any]:
    """Return active days in a year and leavers, ours and of the best fixed cap, means over seeds (B21)."""
    found = worlds.each("B21", seeds, a_year_of)
    mean = {name: pd.DataFrame([one[name] for one in found]).mean() for name in found[0]}
    best = max((name for name in mean if name != "priced"), key=lambda name: float(mean[name]["active_days"]))
    lead = np.array([one["priced"]["active_days"] - one[best]["active_days"] for one in found])
    of_its = float(mean["priced"]["left"] / mean[best]["left"]) if mean[best]["left"] else float("inf")
    return {
        "worlds": len(found),
        **{name: each.round(4).to_dict() for name, each in mean.items()},
        "best_cap": best,
        "over_best_cap": round(float(lead.mean()), 4),
        "over_best_cap_low": low_of(lead),
        "share_of_its_leavers": round(of_its, 3),
        "met": bool(lead.mean() >= 0 and of_its <= MOST_OF_ITS_LEFT),
    }


def a_year_of(seed: int) -> dict[str, Any]:
    """Return the same of one world."""
    ours = lived(PricedVolume(PEOPLE, None, *YEAR, seed), seed, YEAR_DAYS)
    return {"priced": ours} | {f"cap:{times}": lived(by_name(f"cap:{times}"), seed, YEAR_DAYS) for times in GRID}


def lived(policy: Policy, seed: int, days: int, people: int = PEOPLE) -> dict[str, float]:
    """Return what a population did under a policy.

    Returns:
        ``late``: active share of the last two weeks; ``active_days`` a head over all days; ``weekly``: messages a
        head and week; ``left``: share that opted out.
    """
    rows = [day.counts for day in days_of(_AGREED, policy, people=people, days=days, seed=seed)]
    daily = pd.DataFrame(rows)
    return {
        "late": float(daily["active"].tail(LATE_DAYS).mean() / people),
        "active_days": float(daily["active"].sum() / people),
        "weekly": float(daily["sent"].sum() / people / days * 7),
        "left": float(daily["opted_out"].sum() / people),
    }


def low_of(lead: Any) -> float | None:
    """Return the lower end of a 95 % interval of a mean of paired differences; none of a single one."""
    if len(lead) < 2:  # noqa: PLR2004
        return None
    return round(float(lead.mean() - t.ppf(0.975, len(lead) - 1) * lead.std(ddof=1) / np.sqrt(len(lead))), 5)

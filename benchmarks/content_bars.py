"""The bars of policies over variants: the content bandit (B1) and recovering difference softmax (B2).

B1 asks each peer of another project in the same worlds. A peer that cannot be installed leaves the row without it.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

from benchmarks import content_policies, peers, planted_arms, worlds
from benchmarks.long_volume import low_of

FIRST_SEED = 100
LEAST_TAU, LEAST_SHARE, PLANTED_WORLDS, PLANTED_ROUNDS = 0.72, 0.85, 20, 3_000_000
LARGEST_DIFFERENCE = 1e-12
LEAST_GAP, CONTENT_WORLDS, CONTENT_DAYS = 0.42, 10, 40


def content(seeds: Iterable[int] = range(FIRST_SEED, FIRST_SEED + CONTENT_WORLDS)) -> dict[str, Any]:
    """Return how far from uniform to the myopic oracle each policy over variants gets (B1)."""
    asked = list(seeds)
    found = worlds.each("B1", asked, lambda seed: content_policies.compare(seed, CONTENT_DAYS))
    rates = {name: np.array([world[name] for world in found]) for name in found[0]}
    told = _peers(asked)
    rates |= {name: rate for name, rate in told.items() if not isinstance(rate, str)}
    spans = rates["oracle"] - rates["uniform"]
    gaps = {name: (rate - rates["uniform"]) / spans for name, rate in rates.items()}
    others = [name for name in rates if name in (*content_policies.SIMPLE, *content_policies.PEERS)]
    best = max(others, key=lambda name: float(rates[name].mean()))
    least = low_of(rates["inverse_gap"] - rates[best])
    unavailable = {name: why for name, why in told.items() if isinstance(why, str)}
    return {
        "worlds": len(asked),
        "peer": None if unavailable else peers.BANDITS.about,
        **({"peer unavailable": unavailable} if unavailable else {}),
        "rates": {name: round(float(rate.mean()), 5) for name, rate in rates.items()},
        "gaps": {name: round(float(gap.mean()), 3) for name, gap in gaps.items()},
        "gap_sd": round(float(gaps["inverse_gap"].std(ddof=1)), 3) if len(asked) > 1 else None,
        "best_peer": best,
        "ahead_low": least,
        "met": bool(float(gaps["inverse_gap"].mean()) >= LEAST_GAP and least is not None and least > 0),
    }


def _peers(seeds: list[int]) -> dict[str, Any]:
    """Return each peer's rates, or the sentence why there are none."""
    made: dict[str, Any] = {}
    for name in content_policies.PEERS:
        try:
            found = worlds.each(f"B1 {name}", seeds, partial(_rate, name))
            made[name] = np.array([world["rate"] for world in found])
        except peers.Unavailable as error:
            made[name] = str(error)
    return made


def _rate(name: str, seed: int) -> dict[str, float]:
    return {"rate": content_policies.compare_peer(name, seed, CONTENT_DAYS)}


def planted_effects() -> dict[str, Any]:
    """Return how well recovering difference softmax finds planted effects, beside raw means (B2)."""
    seeds = range(FIRST_SEED, FIRST_SEED + PLANTED_WORLDS)
    found = worlds.each("B2", seeds, lambda seed: planted_arms.compare(seed, PLANTED_ROUNDS))
    mean = {name: float(np.mean([world[name] for world in found])) for name in found[0]}
    share, largest = mean["gain"] / mean["oracle"], max(map(planted_arms.largest_difference, seeds))
    return {
        "worlds": len(found),
        "peer": "raw means, and a brute-force implementation",
        **{name: round(value, 4) for name, value in mean.items()},
        "tau_sd": round(float(np.std([world["tau"] for world in found], ddof=1)), 3),
        "share": round(share, 4),
        "raw_share": round(mean["raw_gain"] / mean["oracle"], 4),
        "max_abs_difference": largest,
        "met": mean["tau"] >= LEAST_TAU and share >= LEAST_SHARE and largest <= LARGEST_DIFFERENCE,
    }

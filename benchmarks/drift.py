"""How soon a change of 5 % to 9 % opens is noticed, and how often one is noticed that is none (experiment B14).

river's ADWIN sees outcomes alone, in its default settings: it knows no predictions. It gets 10,000 quiet
outcomes first.
"""

from typing import Any

import numpy as np

from benchmarks import peers
from models.drift.score import Watch

BEFORE, AFTER, LENGTH = 0.05, 0.09, 6000
QUIET, RUNS, FIRST_SEED = 10_000, 200, 100
MOST_DELAY, MOST_FALSE = 600, 1.0
PEER_PATIENCE = 2000


def measure(runs: int = RUNS, first_seed: int = FIRST_SEED) -> dict[str, Any]:
    """Return the median delay, and false alarms in 10,000 outcomes."""
    delays, misses, false = [], 0, 0
    for seed in range(first_seed, first_seed + runs):
        rng = np.random.default_rng(seed)
        false += _alarms(rng)
        found = _delay(rng)
        misses += found is None
        delays.append(LENGTH if found is None else found)
    median = float(np.median(delays))
    return {
        "runs": runs,
        **peers.beside(peers.DRIFT, lambda: _adwin(runs, first_seed)),
        "median_delay": median,
        "p90_delay": float(np.quantile(delays, 0.9)),
        "missed": misses,
        "false_in_10000": false / runs,
        "met": median <= MOST_DELAY and false / runs <= MOST_FALSE,
    }


def _alarms(rng: np.random.Generator) -> int:
    """Return how often a quiet stream alarms, the watch begun anew each time."""
    predicted = _chances(rng, QUIET)
    outcome = (rng.random(QUIET) < predicted).astype(float)
    count, start = 0, 0
    while (alarm := Watch().after(predicted[start:], outcome[start:]).alarm) is not None:
        count, start = count + 1, start + alarm
    return count


def _delay(rng: np.random.Generator) -> int | None:
    """Return outcomes between the change and the alarm; None where there was none. The watch begins at the change."""
    predicted = _chances(rng, LENGTH)
    outcome = (rng.random(LENGTH) < _changed(predicted)).astype(float)
    return Watch().after(predicted, outcome).alarm


def _chances(rng: np.random.Generator, count: int) -> Any:
    """Return calibrated chances that differ from person to person, mean 5 %."""
    return rng.beta(5, 5 * (1 - BEFORE) / BEFORE, count).clip(1e-4, 1 - 1e-4)


def _adwin(runs: int, first_seed: int) -> dict[str, Any]:
    """Return what ADWIN makes of streams drawn by the same laws."""
    quiet, changed = [], []
    for seed in range(first_seed, first_seed + runs):
        rng = np.random.default_rng(seed)
        before = rng.random(QUIET) < _chances(rng, QUIET)
        odds = _changed(_chances(rng, LENGTH))
        quiet.append(before)
        changed.append(np.concatenate([before, rng.random(LENGTH) < odds]))
    told = peers.ask(peers.DRIFT, "adwin_alarms.py", quiet=np.array(quiet), changed=np.array(changed), start=QUIET)
    delays = [LENGTH if delay is None else delay for delay in told["delays"]]
    return {
        "peer_median_delay": float(np.median(delays)),
        "peer_missed_in_2000": sum(delay > PEER_PATIENCE for delay in delays),
        "peer_false_in_10000": float(np.mean(told["false"])),
    }


def _changed(predicted: Any) -> Any:
    """Return the chances after the change, of predictions that do not know of it."""
    odds = predicted / (1 - predicted) * (AFTER / (1 - AFTER)) / (BEFORE / (1 - BEFORE))
    return odds / (1 + odds)

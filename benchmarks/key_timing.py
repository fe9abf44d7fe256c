"""Does the time of a refusal tell whether the prefix of a key exists?

Two kinds of keys are refused in random order: one with the prefix of a key in force and a wrong secret, one with a
prefix that nobody has. Compared are their times by Welch's t; an absolute value above 4.5 is taken as a difference
that can be used. The same is asked of two halves of the unknown ones, which cannot differ: what that says is noise.
``--json`` prints one object for machines on the last line.
"""

import json
import random
import secrets
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from scipy import stats

from adapters.keyring import Keyring
from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.engine import Database
from adapters.postgres.tenants import Tenants
from adapters.secrets import SecretBox
from benchmarks.arguments import parsed
from benchmarks.servers import postgres

SAMPLES = 10_000
WARM_UP = 500
USABLE_T = 4.5
KEPT_SHARE = 0.95
"""The slowest of each kind are left out: a pause of the machine says nothing about a key."""
SEED = 20261127


def main() -> None:
    """Measure and print."""
    asked = parsed(__doc__, samples=(SAMPLES, "refusals of each kind"))
    with (
        tempfile.TemporaryDirectory(prefix="kairos-bench-") as folder,
        postgres(Path(folder)) as (databases, settings),
    ):
        box = SecretBox.of(settings)
        database = Database(databases.app, keyring=Keyring.of(settings))
        try:
            found = judged(*measured(database, box, asked.samples))
        finally:
            database.close()
    for name, value in found.items():
        print(f"{name:<28} {value}")
    if asked.json:
        print(json.dumps(found))


def measured(database: Database, box: SecretBox, samples: int) -> tuple[list[float], list[float]]:
    """Return the microseconds of each refusal: of a known prefix, of an unknown one."""
    Tenants(database, box).create("timed", display_name="timed")
    keys = ApiKeys(database, box)
    prefix = keys.issue("timed", name="timed").split("_")[1]
    now = datetime.now(UTC)
    kinds = [True, False] * (samples + WARM_UP)
    random.Random(SEED).shuffle(kinds)  # noqa: S311 - the order of a measurement
    taken: dict[bool, list[float]] = {True: [], False: []}
    for is_known in kinds:
        key = f"kai_{prefix if is_known else secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"
        began = time.perf_counter_ns()
        refused = keys.find(key, now=now) is None
        taken[is_known].append((time.perf_counter_ns() - began) / 1000)
        if not refused:
            raise RuntimeError("a key with a wrong secret was taken")
    return taken[True][-samples:], taken[False][-samples:]


def judged(known: Sequence[float], unknown: Sequence[float]) -> dict[str, Any]:
    """Return what the times say."""
    t = _t(known, unknown)
    return {
        "samples": len(known),
        "known_prefix_median_us": round(median(known), 1),
        "unknown_prefix_median_us": round(median(unknown), 1),
        "t": round(t, 2),
        "t_of_noise": round(_t(unknown[::2], unknown[1::2]), 2),
        "is_usable": bool(abs(t) > USABLE_T),
    }


def _t(one: Sequence[float], other: Sequence[float]) -> float:
    return float(stats.ttest_ind(_trimmed(one), _trimmed(other), equal_var=False).statistic)


def _trimmed(times: Sequence[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.sort(np.asarray(times, dtype=np.float64))[: int(len(times) * KEPT_SHARE)]


if __name__ == "__main__":
    main()

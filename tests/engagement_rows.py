"""Labelled rows with a known truth, for tests of the engagement model."""

import numpy as np

from models.calibration import sigmoid
from models.engagement import spec
from models.engagement.dataset import Dataset

TYPES = ("digest", "offer")
_START = np.datetime64("2026-01-01T00:00:00", "us")


def a_dataset(n: int = 600, *, seed: int = 0, base: float = -1.5) -> Dataset:
    """Return rows whose log-odds are known: type and coupons raise them, the age of the last purchase lowers them."""
    rng = np.random.default_rng(seed)
    matrix = np.full((n, len(spec.FEATURES)), np.nan, dtype=np.float32)
    kind, coupons, age = rng.integers(0, 2, n), rng.poisson(1.0, n), rng.exponential(100.0, n)
    for name, values in (
        ("message_type_code", kind),
        ("purchase_with_coupon_count_90d", coupons),
        ("last_purchase_age_hours", np.where(rng.random(n) < 0.1, np.nan, age)),
        ("purchase_count_90d", rng.poisson(5.0, n)),
        ("converted_count_90d", np.zeros(n)),
    ):
        matrix[:, spec.FEATURES.index(name)] = values
    p = sigmoid(base + 1.2 * kind + 0.8 * coupons - 0.01 * age)
    decided = _START + np.sort(rng.integers(0, 200 * 86_400, n)).astype("timedelta64[s]")
    return Dataset(
        matrix=matrix,
        label=(rng.random(n) < p).astype(np.int8),
        decided_at=decided,
        window_ends_at=decided + np.timedelta64(1, "D"),
        recipient=np.array([f"t1\tr{who}" for who in rng.integers(0, max(n // 3, 1), n)], dtype=np.str_),
        message_type=np.array(TYPES, dtype=np.str_)[kind],
        features=spec.FEATURES,
        vocabularies={"message_type": TYPES, "channel": ("email",), "category": ()},
    )

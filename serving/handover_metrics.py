"""Metrics of hand-overs and of outcomes that were reported."""

from prometheus_client import Counter

HANDOVERS = Counter("kairos_handovers", "Hand-overs answered.", ("verdict", "reason"))
OUTCOMES = Counter("kairos_outcomes", "Outcomes reported for decisions.", ("type", "verdict"))

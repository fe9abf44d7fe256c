"""Metrics of hand-overs and of outcomes that were reported."""

from prometheus_client import Counter

HANDOVERS = Counter("kairos_handovers", "Hand-overs answered.", ("verdict", "reason"))
OUTCOMES = Counter("kairos_outcomes", "Outcomes reported for decisions.", ("type", "verdict"))
DIGESTS = Counter("kairos_digests", "Hand-overs of digests answered.", ("verdict", "reason"))
DIGEST_ITEMS = Counter("kairos_digest_items", "Messages that went in digests.")

"""The registered models made from purchases: what customers will spend, and whether they have left."""

VALUE, CHURN = "lifetime_value", "churn"
"""Names of the registered models."""
FEATURES = ("frequency", "recency_days", "age_days", "mean_spend")
"""Repeat purchases; days from the first to the last; days from the first to the end; mean amount, minor units."""
HORIZON_DAYS = 30
"""How far ahead spending is told, and how much is held out to judge by."""
OBSERVED_EXPECTED = (0.7, 1.43)
"""Purchases that came over those expected, in the time held out; outside of it the model may not be the champion."""
SILENT_OBSERVED_EXPECTED = (0.8, 1.25)
"""Customers who bought nothing over those expected to; most do, so the band is narrower."""

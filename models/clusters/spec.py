"""The constants of behavioural clusters."""

from typing import Final

FEWEST_PEOPLE: Final = 300
"""To look for clusters at all."""
MOST_PEOPLE: Final = 5_000
"""To fit clusters; of more a sample is drawn, and everybody is sorted."""
FEWEST_IN_ONE: Final = 30
MOST_CLUSTERS: Final = 8
LEAST_STABILITY: Final = 0.8
"""Mean adjusted Rand index between clusters of bootstrap samples and these; below, none are published."""
BOOTSTRAPS: Final = 10
STARTS: Final = 4
ROUNDS: Final = 60
LEAST_VARIANCE: Final = 1e-3
"""Of a column within a cluster; columns are scaled to variance 1."""

"""Which cluster people are in, and how surely."""

import numpy as np

from models.clusters.train import Clusters, Floats, Integers


def members(columns: Floats, clusters: Clusters) -> tuple[Integers, Floats]:
    """Return each person's likeliest cluster, shape (n,), and how likely each is, rows of sum 1, shape (n, K).

    Raises:
        ValueError: the columns are not those the clusters were made of, or a value is negative or not finite.
    """
    if columns.ndim != 2 or columns.shape[1] != len(clusters.scaling.mean):  # noqa: PLR2004
        raise ValueError(f"columns: expected {len(clusters.scaling.mean)} of them, got shape {columns.shape}")
    if not (np.isfinite(columns).all() and (columns >= 0).all()):
        raise ValueError("columns: expected finite values, at least 0")
    likely, _ = clusters.mixture.membership(clusters.scaling.apply(columns))
    return likely.argmax(axis=1).astype(np.int64), likely


def distances(columns: Floats, cluster: Integers, clusters: Clusters) -> Floats:
    """Return how far each person is from the middle of their cluster, in its standard deviations, shape (n,).

    Args:
        columns: as of ``members``.
        cluster: which cluster each person is in, shape (n,).
        clusters: the clusters.
    """
    apart = clusters.scaling.apply(columns) - clusters.mixture.mean[cluster]
    return np.asarray(np.sqrt((apart**2 / clusters.mixture.variance[cluster]).mean(axis=1)))

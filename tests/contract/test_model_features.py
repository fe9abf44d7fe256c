"""The model asks only for features that the catalog declares; neither package imports the other."""

import numpy as np

from feature_repo.engagement import at_read, catalog, transform
from models.engagement import spec
from tests.feature_events import AS_OF, events, moments


def test_every_feature_of_the_model_is_a_number_in_the_catalog():
    declared = catalog.by_name()
    assert [name for name in spec.FEATURES if name not in declared] == []
    assert {declared[name].dtype for name in spec.FEATURES} <= {catalog.Dtype.INT, catalog.Dtype.FLOAT}
    assert [name for name in spec.NOT_USED if name not in declared] == []


def test_what_is_fetched_for_the_model_is_enough_to_read_its_features():
    needed = list(at_read.stored_needs(spec.FEATURES))
    stored = transform.from_events(events(), moments())[needed]
    decision = {
        "decided_at": [AS_OF],
        "message_type": ["offer"],
        "channel": ["push"],
        "local_hour_of_week": [3],
        "local_date": [AS_OF.date()],
    }
    read = at_read.at_read(stored, decision, features=spec.FEATURES, vocabularies={"message_type": ("offer",)})
    assert read.matrix.shape == (1, len(spec.FEATURES))
    assert read.features == spec.FEATURES
    assert not np.isnan(read.matrix[0, spec.FEATURES.index("purchase_count_30d")])

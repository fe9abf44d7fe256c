"""The catalog declares each feature once, and says of each what somebody needs to know to use it."""

import re

import pytest

from domain.values import Purpose
from feature_repo.engagement import at_read, catalog
from feature_repo.engagement.catalog import Dtype, Kind, View

EVERY = catalog.catalog()


def test_every_name_is_declared_once():
    names = [feature.name for feature in EVERY]
    assert len(names) == len(set(names))
    assert list(catalog.by_name()) == names


def test_there_are_enough_features_of_every_kind_for_a_recipient():
    assert len(catalog.stored()) >= 30
    assert {feature.kind for feature in EVERY} == set(Kind)
    assert {feature.window_days for feature in catalog.stored()} >= set(catalog.WINDOWS_DAYS)


@pytest.mark.parametrize("feature", EVERY, ids=lambda feature: feature.name)
def test_a_feature_says_what_it_is(feature):
    assert re.fullmatch(r"[a-z][a-z_]*[a-z](_\d+d)?", feature.name)
    assert feature.description.endswith(".")
    assert feature.unit
    assert (feature.view is None) == (feature.measure is None) == (feature.kind in {Kind.CONTEXTUAL, Kind.DERIVED})
    if feature.name.endswith("d") and feature.name[-2].isdigit() and feature.window_days:
        assert feature.name.endswith(f"_{feature.window_days}d")


def test_names_follow_the_unit():
    for feature in EVERY:
        if "_rate_" in feature.name:
            assert feature.unit == "fraction"
        if feature.name.endswith("_at"):
            assert feature.dtype is Dtype.MOMENT
        if feature.name.endswith("_age_hours"):
            assert feature.unit == "hours"


def test_everything_about_opens_needs_open_tracking():
    about_opens = [f for f in EVERY if re.search(r"(^|_)open(ed)?_", f.name) and "app_opened" not in f.name]
    assert about_opens
    assert {feature.purpose for feature in about_opens} == {Purpose.OPEN_TRACKING}


def test_each_view_says_which_moment_it_describes():
    for view in View:
        assert catalog.stored(view)[0].name == at_read.AS_OF[view]
    assert {f.view for f in catalog.stored()} == set(View)
    assert len(catalog.stored()) == sum(len(catalog.stored(view)) for view in View)


def test_a_derived_feature_needs_only_stored_ones():
    stored = {feature.name for feature in catalog.stored()}
    for feature in catalog.at_read_features():
        assert set(feature.needs) <= stored
        assert bool(feature.needs) == (feature.kind is Kind.DERIVED)


def test_what_must_be_fetched_includes_the_as_of_of_every_view_used():
    assert at_read.stored_needs(["purchase_count_30d"]) == ("engagement_as_of", "purchase_count_30d")
    assert at_read.stored_needs(["last_sent_age_hours"]) == ("delivery_as_of", "last_sent_at")
    assert at_read.stored_needs(["decision_is_weekend"]) == ()
    with pytest.raises(ValueError, match="luck is not in the catalog"):
        at_read.stored_needs(["luck"])

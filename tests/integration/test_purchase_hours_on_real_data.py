"""The hours of real purchases; skipped, and counted so, where the shared data is not mounted."""

import pytest

from benchmarks import purchase_hours

pytestmark = pytest.mark.skipif(not purchase_hours.DATA.is_dir(), reason="the shared data is not there")


def test_the_hour_of_a_households_purchases_is_told_better_than_by_everybodys_histogram():
    found = purchase_hours.measure()
    assert found["met"], found
    assert found["low"] > 0.10, found

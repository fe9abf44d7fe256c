"""A sandbox's clock: how far it may stand from real time."""

import pytest
from pydantic import ValidationError

from domain.tenants import MAX_OFFSET, Tenant


@pytest.mark.parametrize("offset", [float("inf"), float("nan"), 1e12, -1e12])
def test_a_clock_that_no_date_can_tell_is_refused_before_it_is_kept(offset):
    with pytest.raises(ValidationError, match="clock_offset_seconds"):
        Tenant(tenant="t", display_name="t", is_sandbox=True, clock_offset_seconds=offset, subject_secret=bytes(32))


def test_a_hundred_years_are_enough():
    Tenant(tenant="t", display_name="t", is_sandbox=True, clock_offset_seconds=-MAX_OFFSET, subject_secret=bytes(32))

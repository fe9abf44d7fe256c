"""Tables of members: read once for all who ask, forgotten after some minutes, and not tried again at once in vain."""

import pytest
from psycopg.errors import AdminShutdown, QueryCanceled
from sqlalchemy.exc import OperationalError

from adapters.postgres.member_tables import KEPT_SECONDS, REST_SECONDS, MembersNotRead, MemberTables
from domain.learned_defaults import Member
from domain.profiles import Profile

FEW = (Member("calm", 1, Profile(), has_engaged=True, has_opted_out=False),) * 3


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class Reader:
    def __init__(self, fault=None):
        self.fault, self.count = fault, 0

    def __call__(self):
        self.count += 1
        if self.fault is not None:
            raise OperationalError("SELECT", {}, self.fault)
        return FEW


def test_members_are_read_once_and_anew_after_some_minutes():
    clock, read = Clock(), Reader()
    tables = MemberTables(monotonic=clock)
    for seconds, count in ((0, 1), (KEPT_SECONDS - 1, 1), (1, 2)):
        clock.now += seconds
        assert tables.of(("shop", "calm", 1), read) == FEW
        assert read.count == count


def test_what_nobody_asks_for_any_more_is_gone_once_its_time_is_over():
    clock, read = Clock(), Reader()
    tables = MemberTables(monotonic=clock)
    tables.of(("shop", "calm", 1), read)
    clock.now += KEPT_SECONDS
    tables.of(("shop", "loud", 1), read)
    assert list(tables._tables) == [("shop", "loud", 1)]


@pytest.mark.parametrize("other", [("bank", "calm", 1), ("shop", "loud", 1), ("shop", "calm", 2)])
def test_another_tenant_template_or_version_has_members_of_its_own(other):
    tables, read = MemberTables(), Reader()
    tables.of(("shop", "calm", 1), read)
    tables.of(other, read)
    assert read.count == 2


def test_what_took_too_long_is_not_tried_again_for_a_while():
    clock, read = Clock(), Reader(QueryCanceled())
    tables = MemberTables(monotonic=clock)
    with pytest.raises(OperationalError):
        tables.of(("shop", "calm", 1), read)
    with pytest.raises(MembersNotRead):
        tables.of(("shop", "calm", 1), read)
    assert read.count == 1
    clock.now, read.fault = clock.now + REST_SECONDS, None
    assert tables.of(("shop", "calm", 1), read) == FEW


def test_a_lost_connection_is_no_reason_to_rest():
    tables, read = MemberTables(), Reader(AdminShutdown())
    with pytest.raises(OperationalError):
        tables.of(("shop", "calm", 1), read)
    read.fault = None
    assert tables.of(("shop", "calm", 1), read) == FEW


def test_the_table_asked_for_longest_ago_leaves_first():
    tables, read = MemberTables(most=8), Reader()
    for tenant in ("a", "b", "a", "c"):
        tables.of((tenant, "calm", 1), read)
    tables.of(("a", "calm", 1), read)
    assert read.count == 3
    tables.of(("b", "calm", 1), read)
    assert read.count == 4

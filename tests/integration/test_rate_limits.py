"""Rate limits on a real Valkey: by key, route and tenant; open when the counters are away, and not slow then."""

import secrets

import pytest

from adapters.redis.client import connect
from adapters.redis.rate_limits import CountersAway, Level, RateLimits
from tests.api import NOBODY_LISTENS


@pytest.fixture
def client(valkey):
    with connect(valkey.url, timeout_ms=2000) as client:
        yield client


def limits(client, **most):
    return RateLimits(client, {level: most.get(level.value, 0) for level in Level})


def tenant():
    return f"t{secrets.token_hex(6)}"


def test_a_key_that_reached_its_limit_waits_and_no_other_does(client):
    limited, ours = limits(client, key=3), tenant()
    assert [limited.check(ours, "key:a", "GET /x") for _ in range(3)] == [None] * 3
    too_many = limited.check(ours, "key:a", "GET /y")
    assert too_many.level is Level.KEY
    assert 1 <= too_many.retry_after <= 60
    assert limited.check(ours, "key:b", "GET /x") is None
    assert limited.check(tenant(), "key:a", "GET /x") is None


def test_a_route_has_a_limit_of_its_own(client):
    limited, ours = limits(client, route=1), tenant()
    assert limited.check(ours, "key:a", "GET /x") is None
    assert limited.check(ours, "key:a", "GET /x").level is Level.ROUTE
    assert limited.check(ours, "key:a", "GET /y") is None


def test_the_keys_of_a_tenant_share_one_limit(client):
    limited, ours = limits(client, tenant=2), tenant()
    assert [limited.check(ours, f"key:{n}", f"GET /{n}") for n in range(2)] == [None] * 2
    assert limited.check(ours, "key:9", "GET /9").level is Level.TENANT


def test_workers_share_the_counters(client):
    ours = tenant()
    assert limits(client, key=1).check(ours, "key:a", "GET /x") is None
    assert limits(client, key=1).check(ours, "key:a", "GET /x") is not None


def test_zero_sets_no_limit_and_asks_nobody():
    with connect(f"redis://{NOBODY_LISTENS}", timeout_ms=50) as away:
        assert limits(away).check("t", "key:a", "GET /x") is None


def test_counters_that_are_away_are_asked_again_only_after_a_second():
    now, asked = [0.0], []
    with connect(f"redis://{NOBODY_LISTENS}", timeout_ms=50) as away:
        limited = RateLimits(away, {Level.KEY: 5}, monotonic=lambda: now[0])
        hit = limited._limiter.hit
        limited._limiter.hit = lambda *given: asked.append(1) or hit(*given)
        for moment in (0.0, 0.5, 1.1):
            now[0] = moment
            with pytest.raises(CountersAway):
                limited.check("t", "key:a", "GET /x")
    assert len(asked) == 2


def test_counters_that_are_known_to_be_away_are_not_asked(client):
    limited = RateLimits(client, {Level.KEY: 5}, is_away=lambda: True)
    limited._limiter.hit = lambda *_: pytest.fail("the server was asked")
    with pytest.raises(CountersAway):
        limited.check("t", "key:a", "GET /x")

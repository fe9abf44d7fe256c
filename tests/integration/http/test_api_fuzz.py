"""A short run of schemathesis as who reaches most; ``python -m benchmarks.schemathesis_report`` is the long one.

What every role may is asked by the access matrix.
"""

from functools import partial

import pytest

from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.message_types import MessageTypes
from serving.wiring import open_parts
from tests.api import serve, settings_for
from tests.api_fuzz import Found, callers, prepared

SECONDS_EACH = 2
SECONDS_OF_WHO_MAY_EVERYTHING = 30
"""Everything that can be reached is reached by the key that may everything; the others find what is theirs alone."""
LEAST_REACHED = 0.9
ASKED = {"nobody", "everything", "platform_admin"}


@pytest.fixture(scope="module")
def unlimited(tmp_path_factory, databases, box, valkey):
    """A server on real stores that lets everybody ask as often as they like."""
    free = {f"rate_limit_{level}_per_minute": 0 for level in ("key", "route", "tenant")}
    settings = settings_for(tmp_path_factory.mktemp("fuzz"), databases, box, redis_url=valkey.url, **free)
    with serve(lambda: open_parts(settings)) as client:
        yield client


@pytest.mark.usefixtures("leaves_no_erasure")
@pytest.mark.timeout(600)
def test_nobody_gets_an_answer_that_the_document_does_not_tell_of(unlimited, db, box, tenant):
    issue = partial(ApiKeys(db, box).issue, tenant.tenant, name="fuzz")
    publish = partial(MessageTypes(db).publish, tenant, actor="fuzz")
    found = Found()
    for name, caller in callers(issue):
        if name not in ASKED:
            continue
        unlimited.headers["X-API-Key"] = issue()
        fuzzed = prepared(unlimited, publish, f"{tenant.tenant}-{name.replace('_', '-')}")
        seconds = SECONDS_OF_WHO_MAY_EVERYTHING if name == "everything" else SECONDS_EACH
        fuzzed.run(caller, found, examples=2, seconds=seconds)
    assert (found.faults, found.errors, found.server_errors) == ({}, {}, 0)
    unreached = found.unreached(fuzzed.names)
    assert len(unreached) <= (1 - LEAST_REACHED) * len(fuzzed.names), unreached
    assert found.requests > 4 * len(fuzzed.names)

"""A PostgreSQL that hangs costs what may be waited for it, whether it is asked, connected to, or told a limit."""

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from adapters.embedded.postgres import EmbeddedPostgres, start_postgres
from adapters.postgres import patience
from adapters.postgres.engine import Database, Unavailable
from adapters.postgres.pulse import PostgresPulse
from tests.pausing import paused

LONG = 20.0
"""Far beyond every limit here, and far below what a hang would take."""


@pytest.fixture(scope="module")
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    folder = tmp_path_factory.mktemp("hanging-postgres")
    with start_postgres(folder / "data", log=folder / "log") as server:
        yield server
        server.discard()


@pytest.fixture
def database(own_postgres: EmbeddedPostgres) -> Iterator[Database]:
    database = Database(own_postgres.admin_url, statement_timeout_ms=2_000, pool_size=2)
    yield database
    database.close()


def ask(database: Database, statement: str = "SELECT 1") -> object:
    with database.tenant("t") as connection:
        return connection.execute(text(statement)).scalar()


@pytest.mark.parametrize("is_connected", [True, False])
def test_a_server_that_hangs_is_waited_for_as_long_as_may_be_and_used_again_after(own_postgres, database, is_connected):
    if is_connected:
        ask(database)
    began = time.monotonic()
    with paused(own_postgres.pid), patience.no_longer_than(lambda: 0.1), pytest.raises(Unavailable):
        ask(database)
    assert time.monotonic() - began < LONG
    assert ask(database) == 1


@pytest.mark.parametrize("is_connected", [True, False])
def test_who_learns_that_there_is_no_hope_waits_no_longer(own_postgres, database, is_connected):
    if is_connected:
        ask(database)
    glances = iter([False, False])
    with (
        paused(own_postgres.pid),
        patience.no_longer_than(lambda: 10 * LONG),
        patience.giving_up_when(lambda: next(glances, True)),
        pytest.raises(Unavailable),
    ):
        ask(database)
    assert ask(database) == 1


def test_hope_given_up_takes_no_answer_away_that_came(database):
    with patience.giving_up_when(lambda: True):
        assert ask(database) == 1


def test_a_sign_of_life_is_missed_while_the_server_hangs_and_heard_after(own_postgres):
    pulse = PostgresPulse(own_postgres.admin_url, seconds=1.0)
    pulse()
    with paused(own_postgres.pid):
        for _ in range(2):  # on the connection that stood, and on none
            with pytest.raises(Unavailable):
                pulse()
    pulse()
    pulse.close()


def test_without_a_limit_of_its_own_a_hang_ends_all_the_same(own_postgres):
    database = Database(own_postgres.admin_url, statement_timeout_ms=100)
    ask(database)
    with paused(own_postgres.pid), pytest.raises(Unavailable):
        ask(database)
    database.close()


def test_the_server_is_told_the_limit_of_the_transaction_and_of_no_other(database):
    limit = "SELECT current_setting('statement_timeout')"
    with patience.no_longer_than(lambda: 0.25):
        assert ask(database, limit) == "250ms"
    assert ask(database, limit) == "2s"
    with patience.no_longer_than(lambda: 0.05), pytest.raises(Unavailable):
        ask(database, "SELECT pg_sleep(5)")


def test_a_long_wait_that_was_asked_for_is_left_alone(database):
    with database.begin() as connection:
        raw = connection.connection.driver_connection
        with patience.no_longer_than(lambda: 0.01):
            assert list(raw.notifies(timeout=0.2)) == []

"""While PostgreSQL hangs or is dead, every decision that can be kept is answered; nothing that was answered is lost."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from adapters.embedded.postgres import EmbeddedPostgres, start_postgres
from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.engine import Database
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.migrate import prepare
from adapters.postgres.roles import DatabaseUrls
from adapters.postgres.tenants import Tenants
from adapters.secrets import SecretBox
from adapters.settings import Settings
from serving.wiring import open_parts
from tests.api import serve, settings_for
from tests.builders import a_type
from tests.pausing import paused

PATIENCE_SECONDS = 180.0


@pytest.fixture
def own_postgres(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    with start_postgres(tmp_path / "postgres", log=tmp_path / "log") as server:
        yield server
        server.discard()


@pytest.fixture
def settings(tmp_path: Path, own_postgres: EmbeddedPostgres, box: SecretBox) -> Settings:
    urls = DatabaseUrls.embedded(own_postgres.admin_url, box)
    prepare(own_postgres.admin_url, urls)
    folder = tmp_path / "service"
    folder.mkdir()
    return settings_for(folder, urls, box, decision_postgres_ms=200, postgres_timeout_ms=300, holdout_share=0)


@pytest.fixture
def headers(settings: Settings, box: SecretBox) -> dict[str, str]:
    database = Database(settings.postgres_url.get_secret_value())
    tenant = Tenants(database, box).create("shop", display_name="Shop")[0]
    types = [a_type(), a_type(type="receipt", **{"class": "transactional"})]
    MessageTypes(database).publish(tenant, types, actor="test")
    key = ApiKeys(database, box).issue("shop", name="test")
    database.close()
    return {"Authorization": f"Bearer {key}"}


@contextlib.contextmanager
def serving(settings: Settings, headers: dict[str, str]) -> Iterator[httpx.Client]:
    with serve(lambda: open_parts(settings)) as client:
        client.headers.update(headers)
        yield client


def ask(api: httpx.Client, message_type: str = "receipt", key: str | None = None, **fields) -> httpx.Response:
    body = {"recipient_id": "r", "message": {"type": message_type}} | fields
    return api.post("/v1/decisions", json=body, headers={"Idempotency-Key": key} if key else {})


def warm(api: httpx.Client) -> None:
    # A machine that is busy may need longer than the limit set above.
    for message_type in ("news", "receipt"):
        eventually(lambda message_type=message_type: ask(api, message_type).status_code == 200)


def eventually(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def summary(answer: httpx.Response) -> tuple[object, ...]:
    assert answer.status_code == 200, answer.text
    return tuple(answer.json()[name] for name in ("outcome", "reason", "degraded"))


def is_spooled_out(api: httpx.Client) -> bool:
    return api.get("/readyz").json()["dependencies"]["spool"] == "ok"


def test_a_store_that_hangs_suppresses_what_is_not_owed_and_what_was_answered_is_recorded_after(
    settings, headers, own_postgres
):
    with serving(settings, headers) as api:
        warm(api)
        with paused(own_postgres.pid):
            assert summary(ask(api, "news")) == ("suppress", "consent.unavailable", "consent_unavailable")
            owed = ask(api, key="order-1", explain=True)
            assert summary(owed) == ("send_now", "policy.rules", "tenant_default")
            assert owed.json()["content"] is not None
            assert ask(api, key="order-1", explain=True).json() == owed.json()
            reused = ask(api, key="order-1", recipient_id="another")
            assert (reused.status_code, reused.json()["code"]) == (422, "request.key_reused")
            assert all(summary(ask(api, "news"))[0] == "suppress" for _ in range(20))
            # Never a false yes: what is to be kept and cannot be is refused.
            said = {"purpose": "marketing", "status": "withdrawn", "source": "t"}
            assert api.post("/v1/recipients/r/consents", json=said).status_code == 503
            assert api.get("/readyz").status_code == 503
        eventually(lambda: is_spooled_out(api))
        kept = api.get(f"/v1/decisions/{owed.json()['decision_id']}")
        assert (kept.status_code, kept.json()["degraded"]) == (200, "tenant_default")
        assert ask(api, key="order-1", explain=True).json() == owed.json()
        eventually(lambda: summary(ask(api))[2] is None)


def test_a_store_that_died_and_a_service_that_stopped_lose_nothing(settings, headers, own_postgres, tmp_path):
    with serving(settings, headers) as api:
        warm(api)
        own_postgres.kill()
        answers = [ask(api, key=f"order-{number}").json() for number in range(5)]
        assert {each["outcome"] for each in answers} == {"send_now"}
    assert (settings.data_dir / "spool" / "decisions.spool").stat().st_size > 0
    with (
        start_postgres(tmp_path / "postgres", log=tmp_path / "log", port=own_postgres.port),
        serving(settings, headers) as api,
    ):
        eventually(lambda: is_spooled_out(api))
        assert {api.get(f"/v1/decisions/{each['decision_id']}").status_code for each in answers} == {200}
        assert ask(api, key="order-3").json() == answers[3]
    assert (settings.data_dir / "spool" / "decisions.spool").stat().st_size == 0


def test_where_nothing_can_be_kept_there_is_no_answer(settings, headers, own_postgres):
    (settings.data_dir / "spool").write_text("a file where the folder should be")
    with serving(settings, headers) as api:
        warm(api)
        with paused(own_postgres.pid):
            answer = ask(api)
        assert (answer.status_code, answer.json()["code"]) == (503, "service.unavailable")
        assert "Retry-After" in answer.headers


def test_who_was_never_seen_and_what_was_never_read_gets_no_answer(settings, headers, own_postgres):
    with serving(settings, headers) as api:
        assert ask(api, "receipt").status_code == 200
        with paused(own_postgres.pid):
            assert ask(api, "news").status_code == 503
            stranger = {"Authorization": "Bearer kai_000000000000_" + "x" * 43}
            body = {"recipient_id": "r", "message": {"type": "receipt"}}
            assert api.post("/v1/decisions", json=body, headers=stranger).status_code == 503
            assert summary(ask(api))[2] == "tenant_default"

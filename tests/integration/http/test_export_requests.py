"""Exports over HTTP: asked for, fetched once by whoever has the link, and deleted then."""

import httpx
import pytest
from sqlalchemy import text

from adapters.lake import Lake
from adapters.personal_data.export_place import path_of
from adapters.personal_data.exporter import Exporter, sources
from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.exports import Exports
from adapters.redis.client import connect
from serving.wiring import open_parts
from tests.api import serve, settings_for

PUBLIC = "https://kairos.example"


@pytest.fixture
def own(tmp_path, databases, box, db, tenant):
    """A client of a service on a data folder of the test's own."""
    settings = settings_for(tmp_path, databases, box, public_url=PUBLIC)
    with serve(lambda: open_parts(settings)) as client:
        client.headers["X-API-Key"] = ApiKeys(db, box).issue(tenant.tenant, name="test")
        yield client


@pytest.fixture
def write(db, box, tenant, tmp_path, valkey):
    def to_the_end(export_id):
        with connect(valkey.url, timeout_ms=2000) as redis:
            exporter = Exporter(Exports(db, box), sources(Lake(tmp_path / "lake"), redis, tmp_path, box), tmp_path)
            while exporter.step(tenant, export_id):
                pass

    return to_the_end


def test_an_export_is_fetched_once_with_its_link_and_then_deleted(own, write, tmp_path, db, tenant):
    own.put("/v1/recipients/r/profile", json={"city": "Laval"})
    asked = own.post("/v1/recipients/r/exports", json={"kind": "access"})
    assert asked.status_code == 202
    where = f"/v1/exports/{asked.json()['export_id']}"
    early = own.post(f"{where}/link")
    assert (early.status_code, early.json()["code"]) == (409, "export.not_ready")
    write(asked.json()["export_id"])
    assert own.get(where).json()["state"] == "ready"
    link = own.post(f"{where}/link").json()
    assert link["url"].startswith(f"{PUBLIC}/d/")
    path = link["url"].removeprefix(PUBLIC)
    with httpx.Client(base_url=own.base_url, trust_env=False) as anybody:
        for _ in range(2):
            page = anybody.get(path)
            assert "button" in page.text
            assert "Laval" not in page.text
        assert anybody.head(path).status_code == 200
        file = anybody.post(path)
        assert file.headers["content-type"] == "application/ld+json"
        assert [each["profile"]["city"] for each in file.json()["@graph"] if each["store"] == "profile"] == ["Laval"]
        again, unknown = anybody.post(path), anybody.post(path + "x")
        assert again.status_code == unknown.status_code == 404
        assert again.text == unknown.text
    assert not path_of(tmp_path, asked.json()["export_id"]).exists()
    assert own.get(where).json()["state"] == "fetched"
    with db.tenant(tenant.tenant) as connection:
        done = connection.execute(text("SELECT action FROM audit WHERE action LIKE 'export.%' ORDER BY audit_id"))
        actions = list(done.scalars())
    assert actions == ["export.requested", "export.finished", "export.link_issued", "export.fetched"]


def test_an_erasure_ends_an_export_and_its_link(own, write):
    own.put("/v1/recipients/r/profile", json={"city": "Laval"})
    export_id = own.post("/v1/recipients/r/exports", json={"kind": "portability"}).json()["export_id"]
    write(export_id)
    path = own.post(f"/v1/exports/{export_id}/link").json()["url"].removeprefix(PUBLIC)
    own.post("/v1/recipients/r/erasure", json={})
    assert own.get(f"/v1/exports/{export_id}").json()["state"] == "cancelled"
    assert own.post(path).status_code == 404


def test_what_is_no_kind_of_export_is_refused(api):
    answer = api.post("/v1/recipients/r/exports", json={"kind": "everything"})
    assert (answer.status_code, answer.json()["field"]) == (422, "kind")
    assert api.get("/v1/exports/none").status_code == 404
    assert api.post("/v1/exports/none/link").status_code == 404

"""Publishing message types: a version for each change, none for none, and by the command line as well."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.brand_rules import BrandBook
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.tables import audit
from cli.app import app
from cli.exit_codes import Refused
from domain.content_lint import BrandRules
from tests.api import settings_for
from tests.builders import a_type

SHIPPED = Path(__file__).parents[2] / "deploy/message_types"


@pytest.fixture
def types(db):
    return MessageTypes(db)


def versions(published) -> dict[str, int]:
    return {each.definition.type: each.version for each in published}


def test_only_what_changed_is_published(types, tenant):
    one, other = a_type(type="one"), a_type(type="other")
    assert versions(types.publish(tenant, [one, other], actor="t")) == {"one": 1, "other": 1}
    assert types.publish(tenant, [one, other], actor="t") == []
    changed = a_type(type="one", category="changed")
    assert versions(types.publish(tenant, [changed, other], actor="t")) == {"one": 2}
    assert versions(types.all(tenant)) == {"one": 2, "other": 1}
    assert types.all(tenant)[0].definition == changed


def test_going_back_is_a_version_too(types, tenant):
    for category, version in (("a", 1), ("b", 2), ("a", 3)):
        assert versions(types.publish(tenant, [a_type(category=category)], actor="t")) == {"news": version}


def test_publishing_at_the_same_time_gives_every_change_its_own_version(types, tenant):
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda i: types.publish(tenant, [a_type(category=f"c{i}")], actor="t"), range(8)))
    assert sorted(each.version for (each,) in made) == list(range(1, 9))


def test_every_publication_is_audited(types, tenant, db):
    types.publish(tenant, [a_type()], actor="somebody")
    with db.tenant(tenant.tenant) as connection:
        (row,) = connection.execute(select(audit)).all()
    assert (row.action, row.actor, row.object, row.detail) == (
        "type.published",
        "somebody",
        "type:news",
        {"version": 1},
    )


def test_the_document_is_the_type(types, tenant):
    definition = a_type()
    types.publish(tenant, [definition], actor="t")
    assert json.loads(json.dumps(types.all(tenant)[0].definition.document())) == definition.document()


@pytest.fixture
def kairos(tmp_path, databases, box, db, tenant, monkeypatch):
    settings = settings_for(tmp_path, databases, box)
    monkeypatch.setenv("KAIROS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("KAIROS_POSTGRES_URL", settings.postgres_url.get_secret_value())
    monkeypatch.setenv("KAIROS_REDIS_URL", settings.redis_url.get_secret_value())
    monkeypatch.setenv("KAIROS_API_KEY", ApiKeys(db, box).issue(tenant.tenant, name="test"))
    return lambda *arguments: CliRunner().invoke(app, arguments)


def test_the_command_publishes_a_folder_once(kairos):
    first = json.loads(kairos("types", "apply", str(SHIPPED), "--json").stdout)
    assert (first["published"]["coupon_a"], first["unchanged"]) == (1, [])
    again = json.loads(kairos("types", "apply", str(SHIPPED), "--json").stdout)
    assert (again["published"], again["unchanged"]) == ({}, sorted(first["published"]))
    listed = json.loads(kairos("types", "list", "--json").stdout)
    assert [each["type"] for each in listed] == sorted(first["published"])


def test_one_bad_file_publishes_none(kairos, tmp_path, types, tenant):
    (tmp_path / "a.yaml").write_text((SHIPPED / "coupon_a.yaml").read_text())
    (tmp_path / "b.yaml").write_text("type: b\nclass: marketing\n")
    result = kairos("types", "apply", str(tmp_path))
    assert isinstance(result.exception, Refused)
    assert str(result.exception).endswith("b.yaml: category: Field required")
    assert types.all(tenant) == []


def test_no_type_is_published_against_its_tenants_brand(kairos, types, tenant, db, tmp_path):
    file = tmp_path / "news.yaml"
    head = "type: news\nclass: service\ncategory: news\nchannels: [push]\nvariants:\n  - id: a\n    content:\n"
    file.write_text(head + "      push: {body: 'So cheap'}\n")
    BrandBook(db).publish(tenant, BrandRules(banned=("cheap",)), actor="test")
    refused = kairos("types", "apply", str(file))
    assert isinstance(refused.exception, Refused)
    assert str(refused.exception) == "news: variants.a.content.push.body: brand.banned_word: cheap"
    assert types.all(tenant) == []
    file.write_text(head + "      push: {body: 'So fine'}\n")
    assert kairos("types", "apply", str(file)).exit_code == 0
    assert versions(types.all(tenant)) == {"news": 1}

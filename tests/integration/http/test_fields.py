"""``fields=`` over HTTP: a part of what one would be answered anyway, at every route that reads JSON."""

import pytest

from serving.http import app
from serving.http.fields import ALWAYS
from tests.pages import walked

WHO = "/v1/recipients/r"
PROFILE = {"locale": "fr", "country": "FR", "attributes": {"vip": True, "plan": "gold"}}


@pytest.fixture
def stored(api):
    answer = api.put(f"{WHO}/profile", json=PROFILE)
    assert answer.status_code in (200, 201), answer.text
    return api.get(f"{WHO}/profile").json()


def part(api, where, fields, **query):
    return api.get(where, params={"fields": fields} | query)


def test_an_answer_has_the_parts_asked_for_and_the_etag_of_the_whole(api, stored):
    whole = api.get(f"{WHO}/profile")
    answer = part(api, f"{WHO}/profile", "version, profile.country,profile.attributes.vip")
    assert answer.json() == {
        "version": stored["version"],
        "profile": {"country": "FR", "attributes": {"vip": True}},
    }
    assert answer.headers["etag"] == whole.headers["etag"]
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_names_apply_to_every_item_of_a_list(api, stored):
    api.get(f"{WHO}/profile")
    found = walked(api, "/v1/audit", "entries", fields="entries.action,entries.object", limit=2, recipient_id="r")
    assert len(found) >= 3
    assert {frozenset(each) for each in found} == {frozenset({"action", "object"})}


def test_the_whole_of_a_name_wins_over_a_part_of_it(api, stored):
    for asked in ("profile,profile.country", "profile.country,profile"):
        assert part(api, f"{WHO}/profile", asked).json() == {"profile": stored["profile"]}


@pytest.mark.parametrize(
    ("where", "asked", "field", "expected"),
    [
        (f"{WHO}/profile", "nothing", "fields.nothing", "profile"),
        (f"{WHO}/profile", "version,profile.salary", "fields.profile.salary", "profile.country"),
        (f"{WHO}/profile", "version.x", "fields.version.x", "nothing below version"),
        (f"{WHO}/profile", "", "fields.", "version"),
        (f"{WHO}/profile", "profile..country", "fields.profile.", "profile.country"),
        (f"{WHO}/profile", ",".join(["version"] * 65), "fields", "64"),
        ("/v1/audit", "entries.values_sealed", "fields.entries.values_sealed", "entries.action"),
        ("/v1/admin/keys", "keys.secret", "fields.keys.secret", "keys."),
    ],
)
def test_a_name_the_answer_does_not_have_is_refused_with_those_it_has(api, stored, where, asked, field, expected):
    answer = part(api, where, asked)
    told = answer.json()
    assert (answer.status_code, told["code"], told["field"]) == (400, "request.unknown_field", field)
    assert expected in told["errors"][0]["expected"]


def test_who_may_not_ask_is_told_nothing_about_names(server):
    assert server.get("/v1/audit", params={"fields": "nothing"}).status_code == 401


def test_a_refusal_is_never_narrowed(api):
    answer = part(api, "/v1/recipients/nobody/profile", "version")
    assert (answer.status_code, answer.json()["code"]) == (404, "resource.not_found")


def reading():
    return [
        route
        for router in app.ROUTERS
        for route in router.routes
        if "GET" in getattr(route, "methods", ()) and route.path.startswith("/v1/")
    ]


def test_every_route_that_reads_json_takes_fields_and_says_so(server):
    paths = server.get("/openapi.json").json()["paths"]
    told = {}
    for path, operations in paths.items():
        if path.startswith("/v1/") and "get" in operations:
            content = operations["get"]["responses"]["200"].get("content", {})
            names = [each["name"] for each in operations["get"].get("parameters", ())]
            told[path] = ("application/json" in content, names.count("fields"))
    assert len(told) == len(reading())
    assert [path for path, (is_json, count) in told.items() if is_json != (count == 1)] == []
    assert sum(count for _, count in told.values()) > 40


def test_any_part_of_any_answer_is_a_part_of_the_whole(api, stored):
    """Every route that needs no id of something that was made first, every name of its answer, one at a time."""
    asked = 0
    for route in reading():
        where = route.path.replace("{recipient_id:path}", "r")
        whole = None if "{" in where or "changes" in where else api.get(where)
        if whole is None or whole.status_code != 200:
            continue
        for name in whole.json():
            answer = part(api, where, name)
            assert answer.status_code == 200, (where, name, answer.text)
            assert set(answer.json()) == {name} | ({ALWAYS} & set(whole.json())), where
            asked += 1
    assert asked > 30

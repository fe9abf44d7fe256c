"""What MLflow knows of versions: read as it is, absent as None, and said when MLflow is away or answers nonsense."""

import httpx
import pytest

from adapters.mlflow_rest import AliasUnavailable
from adapters.mlflow_versions import ModelVersions

VERSION = {
    "name": "engagement",
    "version": "3",
    "run_id": "r",
    "creation_timestamp": 1_000,
    "tags": [{"key": "gate.passed", "value": "true"}, {"key": "empty"}],
    "aliases": ["shadow", "champion"],
}


def versions(answer):
    return ModelVersions("http://mlflow", transport=httpx.MockTransport(answer))


def test_a_version_is_read_with_its_tags_and_aliases():
    found = versions(lambda _: httpx.Response(200, json={"model_version": VERSION})).version("engagement", "3")
    assert found is not None
    assert (found.version, found.run_id, found.aliases) == ("3", "r", ("champion", "shadow"))
    assert found.tags == {"gate.passed": "true", "empty": ""}


def test_models_come_by_name_with_the_version_of_each_alias():
    body = {"registered_models": [{"name": "b"}, {"name": "a", "aliases": [{"alias": "champion", "version": 7}]}]}
    found = versions(lambda _: httpx.Response(200, json=body)).models()
    assert [(each.name, dict(each.aliases)) for each in found] == [("a", {"champion": "7"}), ("b", {})]
    assert versions(lambda _: httpx.Response(200, json={})).models() == []


def test_what_is_not_registered_is_none():
    gone = httpx.Response(404, json={"error_code": "RESOURCE_DOES_NOT_EXIST"})
    assert versions(lambda _: gone).version("engagement", "99") is None


@pytest.mark.parametrize(
    "answer",
    [httpx.Response(500, json={"error_code": "INTERNAL_ERROR"}), httpx.Response(200, text="<html>"), None],
)
def test_a_server_that_is_away_or_answers_nonsense_is_said_to_be_unavailable(answer):
    def respond(_request):
        if answer is None:
            raise httpx.ConnectTimeout("late")
        return answer

    with pytest.raises(AliasUnavailable):
        versions(respond).version("engagement", "3")

"""Which model serves, whatever happens to MLflow and to the bundles on disk."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from adapters import bundle
from adapters.bundle import FILES, Bundle, BundleInfo, BundleSigner
from adapters.mlflow_rest import AliasUnavailable, ModelAlias
from adapters.secrets import SecretBox
from serving.models import LAST_GOOD, EngagementModels, LoadedModel

SIGNER = BundleSigner.of(SecretBox(b"k" * 32))


class Alias:
    """An alias whose answer the test sets: a version, None, or an exception."""

    def __init__(self, answer: str | Exception | None = None) -> None:
        self.answer = answer

    def version(self) -> str | None:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def close(self) -> None:
        pass


DOWN = AliasUnavailable("MLflow does not answer")


def publish(folder: Path, version: str, *, signer: BundleSigner = SIGNER) -> Path:
    info = BundleInfo(
        model="engagement",
        version=version,
        run_id=f"run{version}",
        feature_service="engagement_v1",
        data_digest="d",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return bundle.write(folder, info, {name: f"{name} {version}".encode() for name in FILES}, signer=signer)


def load(verified: Bundle) -> LoadedModel:
    if b"666" in verified.files["model.json"]:
        raise RuntimeError("canary rows are off by 0.3")
    info = verified.info
    nothing = SimpleNamespace()
    return LoadedModel("engagement", info.version, verified.digest, info.run_id, "engagement_v1", nothing, nothing)


Start = Callable[[str | Exception | None], tuple[EngagementModels, Alias]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    def started(answer: str | Exception | None) -> tuple[EngagementModels, Alias]:
        alias = Alias(answer)
        models = EngagementModels(folder=tmp_path, alias=alias, verifier=SIGNER.verifier, load=load, poll_seconds=0.01)
        return models, alias

    return started


def test_the_version_the_alias_names_is_loaded_and_followed_back_and_forth(start: Start, tmp_path: Path) -> None:
    publish(tmp_path, "1")
    publish(tmp_path, "2")
    models, alias = start("1")
    for version in ("1", "2", "1"):
        alias.answer = version
        models.poll()
        assert (models.current.version, models.current.run_id) == (version, f"run{version}")
        assert models.status.is_as_wanted
        models.check()
        assert json.loads((tmp_path / LAST_GOOD).read_text()) == {"version": version}


def test_without_any_bundle_nothing_serves_and_readiness_says_why(start: Start) -> None:
    for answer, why in (
        (DOWN, "does not answer"),
        (None, "no version is champion"),
        ("4", "no bundle of this version"),
    ):
        models, _ = start(answer)
        models.poll()
        assert models.current is None
        with pytest.raises(LookupError, match=why):
            models.check()


def test_the_last_good_model_serves_from_the_first_look_while_mlflow_is_down(start: Start, tmp_path: Path) -> None:
    publish(tmp_path, "1")
    start("1")[0].poll()
    models, alias = start(DOWN)
    models.poll()
    assert (models.current.version, models.status.alias_answers) == ("1", False)
    models.check()
    publish(tmp_path, "2")
    alias.answer = "2"
    models.poll()
    assert models.current.version == "2"


@pytest.mark.parametrize("harm", ["flip", "cut", "remove", "unsigned", "foreign", "canary"])
def test_a_bad_bundle_never_replaces_a_good_one(start: Start, tmp_path: Path, harm: str) -> None:
    publish(tmp_path, "1")
    models, alias = start("1")
    models.poll()
    wanted = "666" if harm == "canary" else "2"
    path = publish(tmp_path, wanted, signer=BundleSigner.of(SecretBox(b"s" * 32)) if harm == "foreign" else SIGNER)
    {
        "flip": lambda: (path / "model.json").write_bytes(b"model.json 3"),
        "cut": lambda: (path / "registry.pb").write_bytes(b"re"),
        "remove": (path / "calibration.json").unlink,
        "unsigned": lambda: (path / "manifest.sig").write_bytes(bytes(64)),
    }.get(harm, lambda: None)()
    alias.answer = wanted
    models.poll()
    assert (models.current.version, models.status.wanted) == ("1", wanted)
    assert f"version {wanted} is not loaded" in models.status.problem
    with pytest.raises(LookupError, match=f"version {wanted} is not loaded"):
        models.check()
    assert json.loads((tmp_path / LAST_GOOD).read_text()) == {"version": "1"}


def test_a_bundle_that_appears_after_its_alias_is_loaded_then(start: Start, tmp_path: Path) -> None:
    models, _ = start("1")
    models.poll()
    publish(tmp_path, "1")
    models.poll()
    assert models.current.version == "1"
    assert models.status.problem is None


def test_a_refused_version_is_reported_once_and_not_with_every_look(
    start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / LAST_GOOD).write_text('{"version": "9"}')
    models, alias = start("4")
    for answer in ("4", "4", DOWN, DOWN, "4"):
        alias.answer = answer
        models.poll()
    assert capsys.readouterr().out.count("model.refused") == 2


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"version": "../1"}', "\x00"])
def test_an_unreadable_pointer_is_as_none(start: Start, tmp_path: Path, text: str) -> None:
    (tmp_path / LAST_GOOD).write_text(text)
    models, _ = start(DOWN)
    models.poll()
    assert models.current is None


def test_the_thread_loads_without_being_waited_for_and_survives_a_failing_look(start: Start, tmp_path: Path) -> None:
    publish(tmp_path, "1")
    models, alias = start(OSError("no space"))
    failed, loaded = threading.Event(), threading.Event()
    original = alias.version

    def version() -> str | None:
        failed.set()
        return original()

    alias.version = version
    models._load = lambda verified: (loaded.set(), load(verified))[1]
    models.start()
    assert failed.wait(10)
    alias.answer = "1"
    assert loaded.wait(10)
    models.stop()
    assert models.current.version == "1"


def alias_at(handler: Callable[[httpx.Request], httpx.Response]) -> ModelAlias:
    return ModelAlias("http://m", model="engagement", alias="champion", transport=httpx.MockTransport(handler))


def test_the_alias_is_asked_as_mlflow_wants_to_be_asked() -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(200, json={"model_version": {"name": "engagement", "version": "12"}})

    assert alias_at(answer).version() == "12"
    assert seen == ["http://m/api/2.0/mlflow/registered-models/alias?name=engagement&alias=champion"]


@pytest.mark.parametrize("code", ["RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"])
def test_a_missing_alias_is_none(code: str) -> None:
    assert alias_at(lambda _: httpx.Response(404, json={"error_code": code})).version() is None


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500, json={"error_code": "INTERNAL_ERROR"}),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={}),
        httpx.Response(200, json=[]),
        httpx.Response(302, json={"location": "elsewhere"}),
    ],
)
def test_any_other_answer_is_no_answer(answer: httpx.Response) -> None:
    with pytest.raises(AliasUnavailable):
        alias_at(lambda _: answer).version()


def test_a_closed_port_is_no_answer() -> None:
    with pytest.raises(AliasUnavailable):
        ModelAlias("http://127.0.0.1:1", model="engagement", alias="champion").version()

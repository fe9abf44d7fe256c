"""The loader with a real model, real features and an MLflow that answers, is silent or is gone."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest

from adapters import bundle
from adapters.bundle import REGISTRY, BundleInfo, BundleSigner
from adapters.secrets import SecretBox
from models.engagement import train
from models.engagement.spec import Params
from serving.models import LAST_GOOD, MODEL, EngagementModels
from tests.engagement_rows import a_dataset
from tests.feature_tables import feature_table
from tests.stream_world import World, until

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return train.fit(a_dataset(), params=Params(rounds=20, learning_rate=0.2), seed=7).to_files()


def publish(world: World, version: str, files: dict[str, bytes]) -> None:
    info = BundleInfo(
        model=MODEL, version=version, run_id="r", feature_service="engagement_v1", data_digest="d", created_at=NOW
    )
    content = {**files, REGISTRY: world.store.registry_bytes()}
    bundle.write(world.settings.bundle_dir / MODEL, info, content, signer=BundleSigner.of(world.box))


def models(world: World, url: str, box: SecretBox | None = None) -> EngagementModels:
    settings = world.settings.model_copy(update={"model_poll_seconds": 0.05})
    return EngagementModels.of(settings, replace(world.endpoints, mlflow_url=url), box or world.box)


@contextmanager
def mlflow(version: str) -> Iterator[str]:
    """Answer as MLflow does when it is asked for the alias."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"model_version": {"version": version}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def silence() -> Iterator[str]:
    """Accept connections and never answer, as a stopped process does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_published_model_scores_as_fitted_and_reads_its_features_through_its_own_registry(
    world: World, files: dict[str, bytes]
) -> None:
    publish(world, "3", files)
    world.store.write(feature_table(world.tenant.tenant, ["r1"], NOW).assign(sent_count_7d=4))
    with mlflow("3") as url:
        serving = models(world, url)
        serving.poll()
        serving.check()
    loaded = serving.current
    rows = a_dataset(50, seed=3).matrix
    fitted = train.fit(a_dataset(), params=Params(rounds=20, learning_rate=0.2), seed=7)
    np.testing.assert_allclose(loaded.scorer.score(rows), fitted.predict(rows), atol=1e-9)
    assert loaded.store.online(world.tenant.tenant, ["r1"])["sent_count_7d"] == [4]
    assert (loaded.version, loaded.run_id, loaded.feature_service) == ("3", "r", "engagement_v1")
    loaded.store.close()
    serving.stop()


@contextmanager
def nothing() -> Iterator[str]:
    """Listen nowhere."""
    yield "http://127.0.0.1:1"


@pytest.mark.parametrize("away", [silence, nothing])
def test_the_last_good_model_is_ready_soon_and_nobody_waits_for_mlflow(
    world: World, files: dict[str, bytes], away: object
) -> None:
    publish(world, "3", files)
    with mlflow("3") as url:
        before = models(world, url)
        before.poll()
        before.current.store.close()
        before.stop()
    with away() as url:
        serving = models(world, url)
        serving.start()
        until(lambda: serving.current is not None, "the last good model is not loaded")
        until(lambda: serving.status.problem is not None, "MLflow's absence is not noticed")
        assert (serving.current.version, serving.status.alias_answers) == ("3", False)
        serving.check()
        serving.stop()
    serving.current.store.close()


def tampered(files: dict[str, bytes], harm: str) -> dict[str, bytes]:
    model = json.loads(files["model.json"])
    tree = model["learner"]["gradient_booster"]["model"]["trees"][0]
    if harm == "other weights":
        tree["split_conditions"] = [value + 0.5 for value in tree["split_conditions"]]
    if harm == "other features":
        features = json.loads(files["features.json"])
        features["features"] = features["features"][::-1]
        return {**files, "features.json": json.dumps(features).encode()}
    text = json.dumps(model)
    return {**files, "model.json": b"not json" if harm == "no model" else text.encode()}


@pytest.mark.parametrize("harm", ["other weights", "other features", "no model", "other secret"])
def test_a_model_that_is_signed_and_yet_not_as_it_was_fitted_never_serves(
    world: World, files: dict[str, bytes], harm: str
) -> None:
    publish(world, "3", files)
    publish(world, "4", tampered(files, harm))
    with mlflow("3") as url:
        serving = models(world, url)
        serving.poll()
        first = serving.current
    with mlflow("4") as url:
        box = SecretBox(b"s" * 32) if harm == "other secret" else None
        later = models(world, url, box)
        later.poll()
        assert (later.current is None) == (harm == "other secret")
        assert "version 4 is not loaded" in later.status.problem
        with pytest.raises(LookupError, match="version 4 is not loaded"):
            later.check()
    pointer = json.loads((world.settings.bundle_dir / MODEL / LAST_GOOD).read_text())
    assert (first.version, pointer) == ("3", {"version": "3"})
    for each in (serving, later):
        each.stop()
        if each.current is not None:
            each.current.store.close()

"""Whatever hangs or dies, decisions are answered and say from which rung; nothing answered is lost, nothing told twice.

One set of servers for all: each test leaves them as it found them, and the service is never started anew but where the
test is about its start.
"""

import itertools
import shutil
from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from adapters.bundle import REGISTRY
from adapters.embedded.valkey import start_valkey
from adapters.secrets import SecretBox
from models.engagement import spec, train
from models.engagement.score import Scorer
from serving.models import MODEL, SHADOW
from tests.degradation_scene import PEOPLE, Scene, a_scene, eventually
from tests.engagement_rows import a_dataset

SERVERS = ("postgres", "valkey", "mlflow")
TOGETHER = [names for size in (1, 2, 3) for names in itertools.combinations(SERVERS, size)]
TOLD = ("outcome", "reason", "channel", "degraded")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, box: SecretBox) -> Iterator[Scene]:
    with a_scene(tmp_path_factory.mktemp("degradation"), box) as scene:
        yield scene


@pytest.fixture(scope="module")
def api(scene: Scene) -> Iterator[httpx.Client]:
    with scene.serving() as client:
        settled(client)
        yield client


def ask(api: httpx.Client, message_type: str, number: int = 0, key: str | None = None) -> httpx.Response:
    body = {"recipient_id": PEOPLE[number % len(PEOPLE)], "message": {"type": message_type}}
    return api.post("/v1/decisions", json=body, headers={"Idempotency-Key": key} if key else {})


def rung(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.json().get("degraded")


def is_fresh(answer: httpx.Response) -> bool:
    """Tell whether a model decided: what is suppressed is not scored, and so not flagged either."""
    return rung(answer) == (200, None) and answer.json()["outcome"] != "suppress"


def states(api: httpx.Client) -> dict[str, str]:
    return api.get("/readyz").json()["dependencies"]


def settled(api: httpx.Client) -> None:
    """Wait until everything is as if nothing had been."""
    for message_type in ("news", "receipt"):
        eventually(lambda kind=message_type: is_fresh(ask(api, kind)), f"a fresh decision about {message_type}")
    eventually(lambda: {states(api)[name] for name in ("spool", "model", "mlflow")} == {"ok"}, str(states(api)))


def withdraw(api: httpx.Client, who: str) -> int:
    said = {"purpose": "personalization", "status": "withdrawn", "source": "t"}
    return api.post(f"/v1/recipients/{who}/consents", json=said).status_code


@pytest.mark.parametrize("names", TOGETHER, ids="+".join)
def test_whatever_hangs_decisions_are_answered_and_flagged_and_all_are_on_record_after(scene, api, names):
    settled(api)
    leaver = f"leaver-{'-'.join(names)}"
    with scene.hanging(names):
        owed = [ask(api, "receipt", number, key=f"{leaver}-{number}") for number in range(4)]
        wanted = [ask(api, "news", number) for number in range(4)]
        again = [ask(api, "receipt", number, key=f"{leaver}-{number}") for number in range(4)]
        opted_out = withdraw(api, leaver)
        # MLflow is missed once a question has gone without an answer for two seconds.
        named = {{"valkey": "redis"}.get(name, name) for name in names}
        eventually(lambda: "ok" not in {states(api)[name] for name in named}, f"readiness names {named}")
    assert {each.status_code for each in owed + wanted} == {200}
    assert [each.json() for each in again] == [each.json() for each in owed]
    assert {each.json()["outcome"] for each in owed} == {"send_now"}
    if "postgres" in names:
        assert {rung(each)[1] for each in owed} == {"tenant_default"}
        told = {(each.json()["outcome"], each.json()["reason"], rung(each)[1]) for each in wanted}
        assert told == {("suppress", "consent.unavailable", "consent_unavailable")}
    else:
        assert {rung(each)[1] for each in owed + wanted} == ({"features_unavailable"} if "valkey" in names else {None})
    # Never a false yes: an opt-out is on record when it is acknowledged, and refused as long as it is not.
    assert opted_out == (503 if "postgres" in names else 200)
    settled(api)
    recorded = scene.recorded()
    for each in (answer.json() for answer in owed + wanted):
        kept = recorded[each["decision_id"]]
        assert [kept[name] for name in TOLD] == [each[name] for name in TOLD]
    assert scene.withdrawals(leaver) == (0 if "postgres" in names else 1)
    assert withdraw(api, leaver) == 200


def test_a_valkey_that_is_killed_and_started_again_costs_its_flag_and_nothing_else(scene, api):
    settled(api)
    scene.valkey.kill()
    answers = [ask(api, kind, number) for number in range(5) for kind in ("news", "receipt")]
    log = scene.folder / "valkey.log"
    scene.valkey = start_valkey(scene.folder / "valkey", log=log, port=scene.valkey.port)
    assert {rung(each) for each in answers} == {(200, "features_unavailable")}
    settled(api)


@pytest.mark.parametrize(("hours_ago", "flag"), [(30, "stale_features"), (60, "missing_features")])
def test_features_grow_old_in_two_steps_and_a_missing_one_is_never_nought(scene, api, hours_ago, flag):
    settled(api)
    scene.write_features(hours_ago=hours_ago)
    try:
        answer = ask(api, "receipt")
        assert rung(answer) == (200, flag)
    finally:
        scene.write_features(hours_ago=1)
    settled(api)


def test_a_bundle_that_was_changed_is_not_loaded_and_the_last_good_one_serves_on(scene, api):
    settled(api)
    good = scene.settings.bundle_dir / MODEL / "1"
    bad = good.with_name("2")
    shutil.copytree(good, bad)
    scene.name_champion("2")
    try:
        eventually(lambda: states(api)["model"] == "unavailable", "the version that is wanted is refused")
        assert is_fresh(ask(api, "receipt"))
    finally:
        scene.name_champion("1")
        shutil.rmtree(bad)
    settled(api)


def test_a_shadow_says_of_the_champions_rows_what_its_own_bundle_says_and_decides_nothing(scene, api):
    settled(api)
    fitted = train.fit(a_dataset(300), seed=2)
    scene.publish("9", {**fitted.to_files(), REGISTRY: scene.features.registry_bytes()})
    scene.name_champion("9", SHADOW)
    loaded = 'kairos_shadow_loaded{model="engagement",version="9"} 1.0'
    eventually(lambda: loaded in api.get("/metrics").text, "the shadow is loaded")
    answer = ask(api, "receipt").json()
    eventually(lambda: scene.shadows(answer["decision_id"]), "what the shadow said is stored")
    record = api.get(f"/v1/decisions/{answer['decision_id']}").json()
    assert record["versions"]["models"]["engagement"] == "1", "the champion decided"
    [(version, said)] = scene.shadows(answer["decision_id"]).items()
    assert (version, said["champion"]) == ("9", "1")
    rows = {channel: [row.get(name) for name in spec.FEATURES] for channel, row in record["features"].items()}
    scorer = Scorer.from_files(fitted.to_files())
    expected = {channel: scorer.score(np.array([row], dtype=np.float32))[0] for channel, row in rows.items()}
    assert said["p"] == pytest.approx(expected)
    champions = {channel: terms["p_convert"] for channel, terms in record["expected"]["channels"].items()}
    assert champions.keys() == said["p"].keys()
    assert champions != pytest.approx(said["p"])


@pytest.mark.usefixtures("api")  # one that knew the champion ran here before
@pytest.mark.parametrize("is_dead", [False, True], ids=["hangs", "dead"])
def test_a_service_that_starts_without_mlflow_decides_by_its_signed_bundle_and_says_who_is_away(scene, is_dead):
    with scene.hanging(["mlflow"]):
        before = scene.settings
        if is_dead:
            scene.settings = before.model_copy(update={"mlflow_url": "http://127.0.0.1:1"})
        try:
            with scene.serving() as api:
                assert api.get("/healthz").status_code == 200
                for kind in ("news", "receipt"):
                    eventually(lambda kind=kind: is_fresh(ask(api, kind)), "the last good model serves")
                eventually(lambda: states(api)["model"] == "ok", "the model is there")
                ready = api.get("/readyz")
                known = ready.json()["dependencies"]
                assert (ready.status_code, known["model"], known["mlflow"]) == (200, "ok", "unavailable")
                assert api.get("/v1/models").json()["registry_answers"] is False
        finally:
            scene.settings = before

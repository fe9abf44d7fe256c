"""The shadow scores what the champion read, off the hot path, and drops rather than waits."""

from types import SimpleNamespace

import numpy as np
import pytest

from adapters.postgres.engine import Unavailable
from domain.values import Channel
from serving.scoring import Scored
from serving.shadow import Shadow

TYPES = ("coupon", "news")
FEATURES = {"email": {"purchase_count_30d": 3.0, "message_type_code": 1.0, "channel_code": 0.0}}


class Scorer:
    """Says ten times less than its first feature, and keeps what it was given."""

    def __init__(self, features, vocabularies):
        self.features = features
        self.vocabularies = vocabularies
        self.given = []

    def score(self, matrix):
        self.given += matrix.tolist()
        return matrix[:, 0].astype(np.float64) / 10


def a_model(version, features=("purchase_count_30d", "message_type_code", "channel_code"), types=TYPES):
    scorer = Scorer(features, {"message_type": types, "channel": ("push", "email")})
    return SimpleNamespace(name="engagement", version=version, scorer=scorer)


class Models:
    """A shadow that is loaded, or none."""

    def __init__(self, current):
        self.current = current
        self.status = SimpleNamespace(is_as_wanted=current is not None)

    def poll(self):
        pass


class Store:
    """Keeps what is stored; ``is_away`` makes it refuse."""

    def __init__(self):
        self.rows = []
        self.is_away = False

    def store(self, _tenant, scores):
        if self.is_away:
            raise Unavailable("away")
        self.rows += scores
        return len(scores)


@pytest.fixture
def store():
    return Store()


CHAMPION = a_model("7")
SCORED = Scored({Channel.EMAIL: 0.2}, None, FEATURES)


def a_shadow(model, store, **more):
    return Shadow(Models(model), store, poll_seconds=60, **({"settle_seconds": 0.0} | more))


def offer(shadow, count=1, scored=SCORED):
    for number in range(count):
        shadow.offer("t", f"d-{number}", "news", CHAMPION, scored)


def test_a_shadow_scores_the_same_row_with_codes_of_its_own_lists(store):
    eight = a_model("8", ("purchase_count_30d", "channel_code", "message_type_code"), types=("news", "other"))
    shadow = a_shadow(eight, store)
    offer(shadow)
    shadow.work()
    [row] = store.rows
    assert (row.tenant, row.decision_id, row.version, row.champion) == ("t", "d-0", "8", "7")
    assert row.p == {"email": pytest.approx(0.3)}
    assert eight.scorer.given == [[3.0, 1.0, 0.0]], "the type is first in its list, the channel second"


def test_a_full_queue_drops_and_counts_and_keeps_nobody_waiting(store):
    shadow = a_shadow(a_model("8"), store, capacity=3)
    offer(shadow, 5)
    assert shadow.dropped["queue_full"] == 2
    shadow.work()
    assert [row.decision_id for row in store.rows] == ["d-0", "d-1", "d-2"]


@pytest.mark.parametrize("model", [None, CHAMPION])
def test_without_a_shadow_or_of_itself_nothing_is_kept(store, model):
    shadow = a_shadow(model, store)
    offer(shadow)
    shadow.work()
    assert (store.rows, sum(shadow.dropped.values())) == ([], 0)


def test_a_feature_the_champion_did_not_read_cannot_be_made_up(store):
    shadow = a_shadow(a_model("8", ("another_feature",)), store)
    offer(shadow, 2)
    shadow.work()
    assert (store.rows, shadow.dropped["features"]) == ([], 2)


def test_what_postgres_did_not_take_is_scored_again(store):
    shadow = a_shadow(a_model("8"), store)
    offer(shadow, 2)
    store.is_away = True
    with pytest.raises(Unavailable):
        shadow.work()
    store.is_away = False
    shadow.work()
    assert [row.decision_id for row in store.rows] == ["d-0", "d-1"]


def test_a_shadow_that_fails_is_counted_and_the_thread_goes_on(store):
    broken = a_model("8")
    broken.scorer.score = lambda _matrix: 1 / 0
    shadow = a_shadow(broken, store)
    offer(shadow, 2)
    shadow.work()
    assert shadow.dropped["failed"] == 2
    broken.scorer.score = Scorer((), {}).score
    offer(shadow)
    shadow.work()
    assert len(store.rows) == 1


def test_a_decision_is_left_to_be_recorded_first(store):
    now = [100.0]
    shadow = a_shadow(a_model("8"), store, settle_seconds=2.0, monotonic=lambda: now[0])
    offer(shadow)
    shadow.work()
    assert store.rows == []
    now[0] += 2.0
    shadow.work()
    assert len(store.rows) == 1

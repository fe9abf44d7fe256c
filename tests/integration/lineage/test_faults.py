"""What the lineage does when something is wrong: it stops, says what, and leaves what serves alone."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from adapters.lake import Quarantined
from adapters.model_registry import RegistryUnavailable
from assets.steps import event_days, fitting, publishing
from assets.steps.publishing import Bench, NotPromoted
from orchestration.runs import Outcome
from tests.installation import TENANT, Installation

pytestmark = pytest.mark.timeout(900)
BREAK = "UPDATE event SET local_hour_of_week = 500 WHERE tenant = %s AND event_id = %s"
MEND = "UPDATE event SET local_hour_of_week = 12 WHERE tenant = %s AND event_id = %s"


@pytest.fixture(autouse=True)
def _made(first_run: Outcome) -> None:
    """Something serves already."""
    assert first_run.succeeded


@pytest.fixture
def broken_event(installation: Installation) -> Iterator[str]:
    """The id of an event of the last day that breaks the contract; mended and materialized again afterwards."""
    on_the_day = [e for e in installation.data.events if e.occurred_at.date() == installation.last_day]
    event_id = on_the_day[0].event_id
    installation.as_owner(BREAK, TENANT, event_id)
    yield event_id
    installation.as_owner(MEND, TENANT, event_id)
    assert installation.run("events_job", days=one_day(installation)).succeeded
    assert installation.lake.quarantined(event_days.TABLE) == {}


def one_day(installation: Installation):
    return installation.last_day, installation.last_day


def test_a_failed_check_stops_everything_after_it_while_the_old_keeps_serving(
    installation: Installation, broken_event: str
):
    champion, online = installation.champion(), installation.online()
    outcome = installation.run(days=one_day(installation))
    assert (outcome.succeeded, outcome.broken) == (False, ["local_hours_are_in_the_week"])
    assert list(outcome.assets) == ["raw_engagement_events"]
    assert installation.champion() == champion
    assert installation.online() == online


def test_a_failed_check_shows_the_event_and_keeps_its_row_apart(installation: Installation, broken_event: str):
    outcome = installation.run("events_job", days=one_day(installation))
    said = installation.messages(outcome)
    assert broken_event in said
    assert "local_hour_of_week" in said
    day = installation.last_day
    assert installation.lake.quarantined(event_days.TABLE) == {day: ("local_hours_are_in_the_week",)}
    folder = installation.lake.root / "quarantine" / event_days.TABLE / f"date={day}"
    [kept] = folder.iterdir()
    assert broken_event.encode() in kept.read_bytes()


@pytest.mark.parametrize("job", ["features_job", "training_job", "segments_job"])
def test_a_groups_job_refuses_after_a_failed_check_of_another_run(
    installation: Installation, broken_event: str, job: str
):
    installation.run("events_job", days=one_day(installation))
    champion = installation.champion()
    outcome = installation.run(job, days=one_day(installation))
    assert not outcome.succeeded
    assert outcome.assets == {}
    assert "failed its checks" in installation.messages(outcome)
    assert installation.champion() == champion


def test_a_day_with_fewer_rows_than_postgres_is_caught(installation: Installation):
    day = installation.last_day
    rows = installation.lake.read(event_days.TABLE, day=day)
    outcome = installation.run("events_job", days=one_day(installation), select=["raw_engagement_events"])
    assert outcome.succeeded
    installation.lake.write(event_days.TABLE, rows.slice(1), day=day)
    from adapters.postgres.event_archive import EventArchive  # noqa: F401
    from assets.steps import event_contract

    broken = [f.claim for f in event_contract.examine(installation.lake, [day], {day: rows.num_rows}) if not f.passed]
    assert broken == ["counts_agree_with_postgres"]
    with pytest.raises(Quarantined, match=str(day)):
        installation.lake.require_checked(event_days.TABLE)
    assert installation.run("events_job", days=one_day(installation)).succeeded


def test_the_same_day_twice_gives_the_same_tables_and_the_same_champion(installation: Installation):
    first = installation.run(days=one_day(installation))
    second = installation.run(days=one_day(installation))
    assert first.succeeded
    assert second.succeeded
    digests = [{name: told.get("table_digest") for name, told in run.assets.items()} for run in (first, second)]
    assert digests[0] == digests[1]
    versions = [run.assets["engagement_champion"]["mlflow_model_version"] for run in (first, second)]
    assert versions[0] == versions[1]


def test_a_challenger_that_has_learned_nothing_is_refused_and_the_champion_stays(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
):
    champion, honest = installation.champion(), fitting.dataset.dataset

    def shuffled(rows, matrix, *, vocabularies):
        made = honest(rows, matrix, vocabularies=vocabularies)
        dice = np.random.default_rng(1)
        return replace(made, label=dice.permutation(made.label)) if len(rows) > 300 else made

    monkeypatch.setattr(fitting.dataset, "dataset", shuffled)
    outcome = installation.run("training_job", cut=cut_of(installation).isoformat())
    assert not outcome.succeeded
    assert "challenger_beats_champion" in outcome.broken
    assert "engagement_champion" not in outcome.assets
    assert installation.champion() == champion
    challenger = installation.registry.version("challenger")
    assert challenger is not None
    assert (challenger.version != champion, challenger.tags["gate.passed"]) == (True, "false")
    refused = installation.run("training_job", select=["engagement_champion"])
    assert not refused.succeeded
    assert "has not passed the gate" in installation.messages(refused)
    assert installation.champion() == champion


def test_a_challenger_that_lacks_only_live_messages_stands_as_shadow_and_nothing_newer_is_made(
    installation: Installation,
):
    champion, registry = installation.registry.version("champion"), installation.registry
    assert champion is not None
    trying = replace(installation, settings=installation.settings.model_copy(update={"shadow_decisions": 50}))
    outcome = trying.run("training_job", cut=(cut_of(installation) - timedelta(minutes=2)).isoformat())
    try:
        assert list(outcome.broken) == ["challenger_is_no_worse_as_shadow"]
        shadow = registry.version("shadow")
        assert shadow is not None
        assert (shadow, installation.champion()) == (registry.version("challenger"), champion.version)
        assert (installation.settings.bundle_dir / "engagement" / shadow.version / "manifest.sig").is_file()
        assert "not enough live data" in shadow.tags["gate.reasons"]
        again = trying.run("training_job", cut=(cut_of(installation) - timedelta(minutes=3)).isoformat())
        assert again.assets["engagement_model"]["mlflow_model_version"] == shadow.version
    finally:
        registry.set_alias("shadow", champion)


def cut_of(installation: Installation) -> datetime:
    champion = installation.registry.version("champion")
    assert champion is not None
    return datetime.fromisoformat(champion.tags["training.cut"])


def test_a_verdict_against_another_champion_promotes_nobody(installation: Installation):
    registry = installation.registry
    champion = registry.version("champion")
    assert champion is not None
    stale = registry.tag(champion, {"gate.against": "999"})
    with pytest.raises(NotPromoted, match="weighed against 999"):
        publishing._require_passed(stale, "1")
    registry.tag(champion, {"gate.against": "nobody"})


def test_a_registry_that_is_away_loses_no_fitted_model(installation: Installation, monkeypatch: pytest.MonkeyPatch):
    cut = cut_of(installation) - timedelta(minutes=1)
    given = {"cut": cut, "seed": fitting.SEED, "lineage": {}, "report": print}
    with pytest.raises(RegistryUnavailable):
        publishing.fit_and_register(
            Bench(installation.lake, installation.unreachable_registry, installation.staging), **given
        )

    def refit(*_args, **_more):
        raise AssertionError("the fitted model was lost")

    monkeypatch.setattr(fitting, "fit", refit)
    bench = Bench(installation.lake, installation.registry, installation.staging)
    made = publishing.fit_and_register(bench, **given)
    assert made.is_new
    again = publishing.fit_and_register(bench, **given)
    assert (again.is_new, again.version.version) == (False, made.version.version)

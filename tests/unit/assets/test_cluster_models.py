"""Clusters from habit rows: whose rows count, and what a table says of whom."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from adapters.lake import Lake, NoSuchTable
from adapters.model_registry import CHALLENGER, CHAMPION, Version
from adapters.postgres.learning_facts import Facts
from assets.steps import cluster_models, habit_rows
from domain.consent import ConsentState
from feature_repo import habit_columns
from models.clusters import spec, train
from models.send_time import packed

NOW = datetime(2026, 3, 2, tzinfo=UTC)
NOWS = {"t": NOW}
PEOPLE = 330


class Shelf:
    """Keeps versions as the registry does."""

    model = "clusters"

    def __init__(self) -> None:
        self.aliases: dict[str, Version] = {}
        self.kept: dict[str, dict[str, bytes]] = {}
        self.said: list[str] = []

    def version(self, alias: str) -> Version | None:
        return self.aliases.get(alias)

    def log(self, training, data, *, run_name: str) -> Version:
        assert run_name == "clusters"
        self.said += [training.reports["card.md"], data.rows.to_csv()]
        made = Version("clusters", str(len(self.kept) + 1), "run", dict(training.tags))
        self.kept[made.version] = dict(training.files)
        return made

    def set_alias(self, alias: str, version: Version) -> None:
        self.aliases[alias] = version

    def files(self, version: Version) -> dict[str, bytes]:
        return self.kept[version.version]


def said(purpose: str, status: str = "given", days_ago: int = 300) -> ConsentState:
    return ConsentState(purpose=purpose, channel="*", status=status, effective_at=NOW - timedelta(days=days_ago))


def facts(people: int = PEOPLE, **other: tuple[ConsentState, ...]) -> Facts:
    given = {f"r{place}": (said("personalization"),) for place in range(people)}
    return Facts({("t", who): states for who, states in (given | other).items()}, {})


def habits(lake: Lake, *, people: int = PEOPLE, opens: float = 0.0) -> None:
    """Write rows of early and of late risers, who are sure of their hour."""
    dice, rows = np.random.default_rng(3), []
    for place in range(people):
        hours = np.zeros(168)
        hours[[24 * day + (8 if place % 3 else 20) for day in range(5)]] = np.exp(dice.normal(0.5, 0.25, 5))
        numbers = dict.fromkeys(habit_columns.columns(), opens)
        texts = {
            habit_columns.HOURS: packed.to_text(hours),
            habit_columns.HOURS_OF_OPENS: packed.to_text(hours * opens),
        }
        rows.append(
            {"tenant": "t", "recipient_id": f"r{place}", "as_of": NOW, **numbers, habit_columns.AS_OF: NOW, **texts}
        )
    habit_rows.write(lake, pd.DataFrame(rows))


def fitted(lake: Lake, shelf: Shelf, known: Facts) -> cluster_models.Made:
    return cluster_models.fit_and_register(lake, shelf, facts=known, nows=NOWS, lineage={"dagster.run_id": "run"})  # type: ignore[arg-type]


@pytest.fixture
def lake(tmp_path) -> Lake:
    made = Lake(tmp_path)
    habits(made)
    return made


def table(lake: Lake, shelf: Shelf, known: Facts) -> pd.DataFrame:
    cluster_models.sort_everybody(lake, shelf, facts=known, nows=NOWS)  # type: ignore[arg-type]
    frame: pd.DataFrame = lake.read(cluster_models.TABLE).to_pandas()
    return frame


def test_stable_clusters_become_champion_and_sort_everybody_who_allows_it(lake):
    shelf = Shelf()
    made = fitted(lake, shelf, facts())
    assert made.metrics["stability"] > 0.95
    assert cluster_models.verdict(shelf) == (made.version, "")
    assert cluster_models.promote(shelf)[0] == made.version == shelf.version(CHAMPION)
    rows = table(lake, shelf, facts())
    early = rows[rows["recipient_id"].str[1:].astype(int) % 3 > 0]
    assert len(rows) == PEOPLE
    assert set(early["cluster"]).isdisjoint(set(rows.drop(early.index)["cluster"]))
    assert rows["chance"].between(0.5, 1).all()
    assert rows["distance"].between(0, 6).all()
    assert set(rows["version"]) == {"1"}


def test_the_version_says_where_it_comes_from_and_names_nobody(lake):
    shelf = Shelf()
    version = fitted(lake, shelf, facts()).version
    assert version is not None
    assert version.tags["dagster.run_id"] == "run"
    assert version.tags["feast.feature_service"] == "none"
    assert version.tags["gate.passed"] == "true"
    assert len(version.tags["data.snapshot_id"]) == 64
    assert "r17" not in " ".join(shelf.said)


def test_the_same_people_make_no_new_version(lake):
    shelf = Shelf()
    first = fitted(lake, shelf, facts())
    again = fitted(lake, shelf, facts())
    assert (again.version, len(shelf.kept)) == (first.version, 1)
    assert again.metrics == pytest.approx(dict(first.metrics), abs=1e-6)


def test_who_withdrew_since_the_row_was_made_has_none_and_is_not_learned_from(lake):
    withdrew = facts(
        r1=(said("personalization"), said("personalization", "withdrawn", 1)),
        r2=(said("personalization"), said("analytics", "withdrawn", 1)),
        r3=(),
    )
    shelf = Shelf()
    assert fitted(lake, shelf, withdrew).metrics["people"] == PEOPLE - 3
    cluster_models.promote(shelf)
    assert {"r1", "r2", "r3"}.isdisjoint(table(lake, shelf, withdrew)["recipient_id"])


def test_nothing_that_stands_on_an_open_is_read(tmp_path):
    without, with_opens = Lake(tmp_path / "a"), Lake(tmp_path / "b")
    habits(without)
    habits(with_opens, opens=3.0)
    columns = [cluster_models.people(each, facts(), NOWS)[1] for each in (without, with_opens)]
    assert np.array_equal(*columns)


def test_too_few_people_is_an_answer_and_registers_nothing(lake):
    shelf, known = Shelf(), facts(people=299)
    made = fitted(lake, shelf, known)
    assert (made.version, made.why) == (None, "not enough data: 299 people; at least 300 are needed")
    assert cluster_models.verdict(shelf) == (None, "no version of clusters was registered")
    assert cluster_models.promote(shelf) == (None, "no version of clusters was registered")
    assert table(lake, shelf, known).empty


def test_when_too_few_are_left_the_champion_still_sorts_those(lake):
    shelf = Shelf()
    fitted(lake, shelf, facts())
    cluster_models.promote(shelf)
    few = facts(people=10)
    assert fitted(lake, shelf, few).version is None
    assert len(table(lake, shelf, few)) == 10
    assert table(lake, shelf, Facts({}, {})).empty


def test_unstable_clusters_stay_challenger_and_say_their_number(lake, monkeypatch):
    shelf = Shelf()
    fitted(lake, shelf, facts())
    cluster_models.promote(shelf)
    monkeypatch.setattr(train, "_stability", lambda *_: 0.55)
    made = fitted(lake, shelf, facts(people=320))
    challenger, why = cluster_models.verdict(shelf)
    assert (challenger, shelf.version(CHALLENGER)) == (made.version, made.version)
    assert "stability 0.55; at least 0.8" in why
    assert cluster_models.numbers(challenger)["stability"] == 0.55
    champion, kept_why = cluster_models.promote(shelf)
    assert (champion.version, kept_why) == ("1", why)
    assert set(table(lake, shelf, facts())["version"]) == {"1"}


def test_a_version_that_was_never_weighed_is_not_promoted(lake):
    shelf = Shelf()
    shelf.set_alias(CHALLENGER, Version("clusters", "9", "run", {}))
    assert cluster_models.promote(shelf) == (None, "not weighed")


def test_of_more_people_a_sample_is_fitted_and_all_are_sorted(lake, monkeypatch):
    monkeypatch.setattr(spec, "MOST_PEOPLE", 310)
    seen = []
    honest = train.find
    monkeypatch.setattr(train, "find", lambda rows, *, seed: seen.append(len(rows)) or honest(rows, seed=seed))
    shelf = Shelf()
    fitted(lake, shelf, facts())
    cluster_models.promote(shelf)
    assert seen == [310]
    assert len(table(lake, shelf, facts())) == PEOPLE


def test_before_the_first_night_the_step_says_what_is_missing(tmp_path):
    with pytest.raises(NoSuchTable, match="core_recipient_habits"):
        fitted(Lake(tmp_path), Shelf(), facts())


def test_a_tenant_that_is_gone_is_left_out(lake):
    who, columns = cluster_models.people(lake, facts(), {"other": NOW})
    assert (len(who), columns.shape) == (0, (0, 5))

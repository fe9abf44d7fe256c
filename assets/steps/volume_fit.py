"""Weeks of recipients for the model of volume: its fit, its judgement, and how many messages it suggests to whom.

Weeks count back from each tenant's newest event; the newest is left out, for not every message in it is answered.
"""

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import pandas as pd

from adapters.lake import Lake
from adapters.model_registry import CHAMPION, ModelRegistry
from adapters.postgres.learning_facts import Facts
from assets.steps import habit_rows, pictures
from assets.steps.habit_fit import Files, Fit, held_to, sample
from assets.steps.habit_rows import Habits
from models.volume import registered, score, train
from models.volume.spec import LOOKBACK_WEEKS, MOST_A_WEEK
from models.volume.train import Utilities

JUDGED_WEEKS = 4
_COLUMNS = ["place", "week", "sent", "active", "left"]


def weeks(habits: Habits) -> pd.DataFrame:
    """Return one row for each recipient and week from their first on: messages, active hours, whether they left.

    ``week`` is 1 for the newest that counts, ``LOOKBACK_WEEKS`` for the oldest.
    """
    hours, messages = (_numbered(frame) for frame in (habits.hours, habits.messages))
    first = pd.concat([hours, messages]).groupby("place")["week"].max().clip(upper=LOOKBACK_WEEKS)
    index = pd.MultiIndex.from_tuples(
        [(place, week) for place, last in first.items() for week in range(1, int(last) + 1)], names=["place", "week"]
    )
    made = pd.DataFrame(index=index)
    made["active"] = hours.groupby(["place", "week"]).size()
    made["sent"] = messages.groupby(["place", "week"]).size()
    made["left"] = messages.groupby(["place", "week"])["left"].max()
    made = made.fillna(0.0).reset_index()
    return made.astype({"sent": "int64", "place": "int64"})[_COLUMNS]


def _numbered(frame: pd.DataFrame) -> pd.DataFrame:
    week = (frame["end_days"] // 7).astype("int64")
    return frame.assign(week=week)[(week >= 1) & (week <= LOOKBACK_WEEKS)]


def volume(habits: Habits, champion: Files | None = None) -> Fit:
    """Fit utilities of weekly volume, judged against each segment's own mean on the newest weeks, and the champion.

    Raises:
        NotEnoughData: too few weeks with messages, or all with one number of them.
    """
    every = weeks(habits)
    early, later = every[every["week"] > JUDGED_WEEKS], every[every["week"] <= JUDGED_WEEKS]
    trial = _fitted(early)
    known = later[later["place"].isin(early["place"])]
    activity = _activity(early, len(habits.who))
    alone = _means(early, trial, len(habits.who))[trial.segment(activity)[known["place"]]]
    skill = _skill(trial, known, activity, alone)

    def told(files: Files) -> float:
        return _skill(registered.from_files(files), known, activity, alone)

    found = _fitted(every)
    files = registered.to_files(found)
    rival, behind = held_to(champion, files, told, "skill")
    drawn = {f"{k} messages, segment {s + 1}": float(found.activity[s, k]) for s in range(3) for k in range(0, 8, 2)}
    return Fit(
        files=files,
        features=registered.Scorer.features,
        scorer="models.volume.registered",
        params={f"bound_{place}": float(bound) for place, bound in enumerate(found.bounds)},
        metrics={"skill": skill, **rival, "weeks": float(len(every)), "weeks_judged": float(len(known))},
        figures={"plots/volume.png": pictures.lying_bars(drawn, title="Active hours a week", unit="hours")},
        rows=sample(registered.Scorer.features),
        refusal=behind if skill > 0 else f"skill over each segment's mean {skill:.4f}: must lie above 0",
        limits="Weeks are as senders made them: without volume drawn by chance, part of it is whom they chose.",
    )


def _skill(utilities: Utilities, known: pd.DataFrame, activity: train.Floats, alone: train.Floats) -> float:
    """Return 1 - squared error / that of each segment's own mean, on weeks that are known."""
    segment = utilities.segment(activity)[known["place"]]
    level = np.minimum(known["sent"].to_numpy(np.int64), MOST_A_WEEK)
    active = known["active"].to_numpy(np.float64)
    ours, theirs = (float(((active - each) ** 2).sum()) for each in (utilities.activity[segment, level], alone))
    return 1 - ours / theirs if theirs > 0 else 0.0


def _fitted(frame: pd.DataFrame) -> Utilities:
    place = np.unique(frame["place"].to_numpy(np.int64), return_inverse=True)[1]
    numbers = (frame[name].to_numpy() for name in ("active", "left"))
    return train.fit(place, frame["sent"].to_numpy(np.int64), *numbers)


def _activity(frame: pd.DataFrame, people: int) -> train.Floats:
    """Return each recipient's mean weekly activity, 0 of whom no week is known, shape (people,)."""
    mean = frame.groupby("place")["active"].mean().reindex(range(people), fill_value=0.0)
    return mean.to_numpy(np.float64)


def _means(frame: pd.DataFrame, found: Utilities, people: int) -> train.Floats:
    """Return the mean week of each segment, shape (S,)."""
    segment = found.segment(_activity(frame, people))[frame["place"]]
    sums = np.bincount(segment, frame["active"], minlength=len(found.bounds) + 1)
    return np.asarray(sums / np.maximum(np.bincount(segment, minlength=len(found.bounds) + 1), 1))


def suggested(lake: Lake, registry: ModelRegistry, *, facts: Facts, nows: Mapping[str, datetime]) -> pd.DataFrame:
    """Return how many messages a week each recipient should get, within what their tenant sends now.

    A tenant's volume is the mean of its last ``JUDGED_WEEKS`` weeks; no champion, no rows.
    """
    champion = registry.version(CHAMPION)
    if champion is None:
        return pd.DataFrame(columns=["tenant", "recipient_id", "version", "score"])
    found = registered.from_files(registry.files(champion))
    habits = habit_rows.gather(lake, facts, nows)
    every = weeks(habits)
    values = found.values(found.segment(_activity(every, len(habits.who))))
    level = np.zeros(len(habits.who))
    for places in habits.who.groupby("tenant").indices.values():
        lately = every[(every["week"] <= JUDGED_WEEKS) & every["place"].isin(places)]
        level[places] = score.assigned(values[places], lately["sent"].sum() / JUDGED_WEEKS).level
    return habits.who.assign(version=champion.version, score=level)

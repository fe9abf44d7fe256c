"""Lets a population live through days under a policy. The same seed gives the same days.

What a person does by chance comes from numbers that are drawn by seed, day and person, never by policy: two policies
of one seed meet the same people in the same mood, and their difference is the policies' own.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from models.simulator import answers, rhythms
from models.simulator.chances import Truth
from models.simulator.mind import Mind
from models.simulator.population import Population, Variants
from models.simulator.rhythms import HOURS_OF_WEEK, Floats, Integers
from models.simulator.scenarios import CHANNELS, Scenario
from models.simulator.state import MOST_SENDS_A_DAY, DayState, Policy, Seen, Sends

VARIANTS = 12
_PEOPLE, _DRIFT, _MOOD, _POLICY, _HOURS = range(5)
"""Streams of chance that must not touch each other."""

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Run:
    """What happened.

    Attributes:
        daily: one row a day: ``asked = sent + without_consent``, ``opened``, ``opted_out``, ``bought``, ``visits``
            (without a message), ``sessions`` (those and opens), ``active`` (people), and ``reach.CHANNEL``: those
            who may be written to that evening, as a share of those at the start.
        sends: one row a message that was sent, columns ``COLUMNS`` of ``models.simulator.answers``.
        visits: one row a visit: ``day``, ``person``, ``hour``.
        people: how many.
        population: as they were at the start.
    """

    daily: pd.DataFrame
    sends: pd.DataFrame
    visits: pd.DataFrame
    people: int
    population: Population


@dataclass(frozen=True)
class Day:
    """One day as it came out.

    Attributes:
        number: from 0.
        start: the people as they were on day 0.
        sends: the day's messages, columns as in ``Run.sends``; in the order in which they were given out.
        visits: the day's visits, columns as in ``Run.visits``.
        counts: the day's row of ``Run.daily``.
    """

    number: int
    start: Population
    sends: pd.DataFrame
    visits: pd.DataFrame
    counts: dict[str, float]


def days_of(scenario: Scenario, policy: Policy, *, people: int, days: int, seed: int) -> Iterator[Day]:
    """Live through the days one by one; the arguments are those of ``simulate``.

    Raises:
        BadPolicy: the policy asked for what cannot be.
    """
    dice = _dice(seed, _PEOPLE, 0)
    population = Population.drawn(people, scenario, dice)
    variants = Variants.drawn(VARIANTS, days, scenario, dice)
    seen, start = _unseen(population), population
    truth = Truth(scenario, population, variants, Mind.rested(people, VARIANTS), 0)
    for day in range(days):
        truth = _morning(truth, day, days, seed)
        sends, visits, row = _day(truth, policy, seen, seed)
        yield Day(day, start, sends, visits, {"day": day} | row | _reach(start, seen))


def simulate(
    scenario: Scenario, policy: Policy, *, people: int, days: int, seed: int, progress: Progress | None = None
) -> Run:
    """Run a policy.

    Args:
        scenario: the laws.
        policy: asked once a day.
        people: at least 1.
        days: at least 1.
        seed: at least 0.
        progress: told the number of days done.

    Raises:
        BadPolicy: the policy asked for what cannot be.
    """
    made = []
    for day in days_of(scenario, policy, people=people, days=days, seed=seed):
        made.append(day)
        if progress is not None:
            progress(day.number + 1)
    return together(made)


def together(days: Sequence[Day]) -> Run:
    """Return days, at least one, as one run."""
    start = days[0].start
    return Run(
        pd.DataFrame([day.counts for day in days]),
        pd.concat([day.sends for day in days], ignore_index=True),
        pd.concat([day.visits for day in days], ignore_index=True),
        len(start),
        start,
    )


def _morning(truth: Truth, day: int, days: int, seed: int) -> Truth:
    population, variants = truth.population, truth.variants
    if day and truth.scenario.drifts:
        population = population.drifted(truth.scenario, _dice(seed, _DRIFT, day))
    if day == days // 2 and truth.scenario.swaps:
        variants = variants.turned_around()
    return replace(truth, population=population, variants=variants, day=day)


def _day(truth: Truth, policy: Policy, seen: Seen, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, int]]:
    people, day = len(truth.population), truth.day
    shown = truth.variants.shown(day)
    dice = _dice(seed, _MOOD, day)
    come = dice.random(people)
    mood = dice.random((people, MOST_SENDS_A_DAY, answers.CHANCES))
    asked = policy(
        DayState(day, shown, truth.population.interests, truth.variants.topics, seen, _dice(seed, _POLICY, day), truth)
    )
    asked.check(people, shown)
    count = answers.numbers(truth.visits(), come)
    sent = _deliver(truth, asked, seen, mood)
    opened = np.zeros(people, dtype=bool)
    opened[sent["person"].to_numpy()[sent["opened"].to_numpy() > 0]] = True
    count = np.where(truth.population.harmed & opened, 0, count)
    visits = _visits(truth, count, _dice(seed, _HOURS, day))
    credited = opened & ~truth.population.harmed if truth.scenario.opens_are_visits else np.zeros(people, dtype=bool)
    np.add.at(seen.visits, (visits["person"].to_numpy(), truth.hour_of_week(visits["hour"].to_numpy())), 1)
    seen.yesterday = sent
    opens = int(sent["opened"].sum())
    row = {
        "asked": len(asked),
        "sent": len(sent),
        "without_consent": len(asked) - len(sent),
        "opened": opens,
        "opted_out": int(sent["opted_out"].sum()),
        "bought": int(sent["bought"].sum()),
        "visits": int(count.sum()),
        "sessions": int(count.sum()) + opens,
        "active": int(((count > 0) | credited).sum()),
    }
    return sent, visits, row


def _deliver(truth: Truth, asked: Sends, seen: Seen, mood: Floats) -> pd.DataFrame:
    """Send a day's messages, a person's in their order; who opted out at breakfast gets nothing at noon."""
    ordered, turn = asked.in_turn()
    rounds = []
    for number in range(int(turn.max(initial=-1)) + 1):
        due = ordered.some(turn == number)
        due = due.some(seen.consent[due.who, due.channel])
        rounds.append(answers.given(truth, due, mood[due.who, number]))
        _remember(truth, due, rounds[-1], seen)
    return (
        pd.concat(rounds, ignore_index=True)
        if rounds
        else answers.given(truth, Sends.nothing(), np.empty((0, answers.CHANCES)))
    )


def _remember(truth: Truth, sends: Sends, came: pd.DataFrame, seen: Seen) -> None:
    opened, left = came["opened"].to_numpy(), came["opted_out"].to_numpy() > 0
    truth.mind.feel(
        sends.who,
        sends.variant,
        truth.day + sends.hour / 24,
        load=np.array(truth.scenario.load)[sends.channel],
        opened=opened.astype(np.float64),
        fit=truth.fit(sends.who, sends.variant),
    )
    seen.consent[sends.who[left], sends.channel[left]] = False
    seen.sent[sends.who, sends.channel] += 1
    seen.opened[sends.who, sends.channel] += opened
    seen.last_day[sends.who] = truth.day


def _visits(truth: Truth, count: Integers, dice: np.random.Generator) -> pd.DataFrame:
    who = np.repeat(np.arange(len(count), dtype=np.int64), count)
    hour = rhythms.drawn_hours(truth.day_profile()[who], dice.random(len(who)))
    return pd.DataFrame({"day": np.full(len(who), truth.day), "person": who, "hour": hour})


def _unseen(population: Population) -> Seen:
    shape = population.consent.shape
    none = pd.DataFrame({name: [] for name in answers.COLUMNS})
    return Seen(
        consent=population.consent.copy(),
        sent=np.zeros(shape, dtype=np.int64),
        opened=np.zeros(shape, dtype=np.int64),
        visits=np.zeros((shape[0], HOURS_OF_WEEK), dtype=np.int64),
        last_day=np.full(shape[0], -1, dtype=np.int64),
        yesterday=none,
    )


def _reach(start: Population, seen: Seen) -> dict[str, float]:
    first, now = start.consent.sum(axis=0), seen.consent.sum(axis=0)
    return {f"reach.{name}": float(now[place] / max(1, first[place])) for place, name in enumerate(CHANNELS)}


def _dice(seed: int, stream: int, day: int) -> np.random.Generator:
    return np.random.default_rng([seed, stream, day])

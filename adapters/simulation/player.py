"""Plays a population against a running service, day by day: asks, sends what was decided, reports what people did.

The tenant's clock is moved from hour to hour, so that weeks pass in minutes. What people do is drawn by seed, day and
person, never by what was decided: the same seed under a policy of ``models.simulator`` meets the same people.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from adapters.simulation.journal import Journal
from adapters.simulation.service import Question, Service
from domain.message_types import MessageType
from models.simulator import events, run, sender
from models.simulator.run import Day
from models.simulator.scenarios import CHANNELS, Scenario
from models.simulator.state import DayState, Sends

_AFTER_THE_HOUR = timedelta(minutes=5)
_MOST_PEOPLE = 100_000
ZONE = "UTC"


@dataclass(frozen=True)
class Cast:
    """Who plays, for how long, and in whose name.

    Attributes:
        scenario: the laws.
        people: at most 100,000.
        days: at least 1.
        seed: of the people and their days.
        start: midnight of day 0, a Monday, UTC.
        name: begins every id.
    """

    scenario: Scenario
    people: int
    days: int
    seed: int
    start: datetime
    name: str

    def recipient(self, person: int) -> str:
        """Return the id of a person."""
        return f"{self.name}-{person}"

    def about(self) -> dict[str, Any]:
        """Return what makes this run this run."""
        facts = {"people": self.people, "days": self.days, "seed": self.seed, "start": self.start.isoformat()}
        return {"scenario": self.scenario.name, "name": self.name} | facts


@dataclass
class Told:
    """What the service said so far.

    Attributes:
        outcomes: decisions by outcome.
        reasons: decisions by reason.
        events: events by verdict.
        versions: decisions by version of the model, "none" without.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)

    def note(self, answers: Sequence[Mapping[str, Any]]) -> None:
        """Count a day's answers."""
        for each in answers:
            self.outcomes[each["outcome"]] += 1
            self.reasons[each["reason"]] += 1
            self.versions[each["model"] or "none"] += 1

    def as_json(self) -> dict[str, dict[str, int]]:
        """Return the counts."""
        return {name: dict(sorted(counts.items())) for name, counts in vars(self).items()}


class Player:
    """One run; ask for its days once."""

    def __init__(
        self,
        cast: Cast,
        service: Service,
        journal: Journal,
        *,
        set_clock: Callable[[datetime], object],
        publish: Callable[[MessageType], object],
    ) -> None:
        """Play nothing yet.

        Args:
            cast: who plays.
            service: is asked and told.
            journal: what was answered on the days before a stop.
            set_clock: makes it that moment for the tenant.
            publish: puts a version of the message type in force.
        """
        self.told = Told()
        self._cast, self._service, self._journal = cast, service, journal
        self._set_clock, self._publish = set_clock, publish
        self._resumes_at = journal.last_day
        self._shown: list[int] = []
        self._decided: dict[int, str] = {}
        self._waiting: list[tuple[datetime, str, dict[str, Any]]] = []

    def days(self) -> Iterator[Day]:
        """Yield each day when everything people did by its midnight is reported.

        Raises:
            ServiceFault: the service does not answer or refuses; what was answered is in the journal.
        """
        cast = self._cast
        for day in run.days_of(cast.scenario, self._ask, people=cast.people, days=cast.days, seed=cast.seed):
            self._tell(day)
            yield day

    def _at(self, day: int, hour: float = 0.0) -> datetime:
        return self._cast.start + timedelta(days=day, hours=hour)

    def _ask(self, state: DayState) -> Sends:
        answers = self._journal.answers(state.day)
        if answers is None:
            answers = self._asked(state)
            self._journal.keep(state.day, answers)
        self.told.note(answers)
        self._decided = {each["person"]: each["decision_id"] for each in answers}
        return sender.sends(answers)

    def _asked(self, state: DayState) -> list[dict[str, Any]]:
        self._set_clock(self._at(state.day))
        if state.day == 0:
            self._welcome(state)
        if (shown := state.shown.tolist()) != self._shown:
            self._publish(sender.message_type(shown))
            self._shown = shown
        hours = sender.hours(state)
        answers = []
        for hour in sorted(set(hours.tolist())):
            who = [person for person, its in enumerate(hours.tolist()) if its == hour]
            moment = self._at(state.day, hour) + _AFTER_THE_HOUR
            self._set_clock(moment)
            questions = [self._question(person, state.day) for person in who]
            found = self._service.decide(questions)
            at = hour + _AFTER_THE_HOUR / timedelta(hours=1)
            answers += [_kept(person, at, answer) for person, answer in zip(who, found, strict=True)]
        return answers

    def _question(self, person: int, day: int) -> Question:
        recipient = self._cast.recipient(person)
        return Question(f"{recipient}-{day}", sender.question(recipient))

    def _welcome(self, state: DayState) -> None:
        places = [(name, CHANNELS.index(name)) for name in sender.LIVE_CHANNELS]
        consent = state.seen.consent
        people = {
            self._cast.recipient(person): {name: bool(consent[person, place]) for name, place in places}
            for person in range(state.people)
        }
        self._service.welcome(people, time_zone=ZONE, source=events.SOURCE)

    def _tell(self, day: Day) -> None:
        """Report what has happened by midnight; an open of tomorrow waits for tomorrow."""
        for event in self._events(day):
            heapq.heappush(self._waiting, (datetime.fromisoformat(event["occurred_at"]), event["event_id"], event))
        midnight = self._at(day.number + 1)
        due = []
        while self._waiting and self._waiting[0][0] <= midnight:
            due.append(heapq.heappop(self._waiting)[2])
        # The last day before a stop may have been told in part: told again, its events are duplicates.
        if day.number >= self._resumes_at:
            self._set_clock(midnight)
            self.told.events.update(self._service.tell(due))

    def _events(self, day: Day) -> Iterator[dict[str, Any]]:
        sends = day.sends.assign(
            number=day.number * _MOST_PEOPLE + day.sends["person"].astype(int),
            decision_id=[self._decided[person] for person in day.sends["person"].astype(int)],
            # What this sender wants is the visit: an answered message is a conversion, with a value if one was made.
            bought=day.sends["opened"],
        )
        visits = day.visits.reset_index(names="place")
        visits["number"] = [f"{day.number}.{place}" for place in visits["place"]]
        return events.nested(events.told(sends, visits, name=self._cast.name, start=self._cast.start))


def _kept(person: int, hour: float, answer: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "person": person,
        "hour": hour,
        "outcome": answer["outcome"],
        "channel": answer["channel"],
        "variant_id": answer["variant_id"],
        "probability": answer["action_probability"],
        "decision_id": answer["decision_id"],
        "reason": answer["reason"],
        "model": answer["versions"]["models"].get("engagement"),
    }

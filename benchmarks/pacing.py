"""Sends beside a day's target, without pacing, by price, and by a hard cap: days of arrivals through the stages' code.

Each arrival is a marketing message that may take e-mail or push; its value is log-normal and drifts from day to day, as
does how many arrive. The channel is drawn by ``domain.stages``, the price moved a minute at a time by
``serving.volume_pacing``, as in the service, without its stores. ``cap`` closes a channel at its target: first come,
first served. The first day has nothing to learn a price from and is told apart. ``value_of_best`` is the share of what
the same number of sends of each day could have been worth at most, chosen with hindsight. ``--json`` prints one line.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from adapters.postgres.channel_prices import Counted, Drawn, Standing
from benchmarks.arguments import parsed
from domain.expected import ChannelTerms, Expected
from domain.quiet_hours import QuietHours
from domain.stages import Asked, Settings, channel_stage
from domain.values import Channel
from domain.volume_targets import VolumeTarget
from models.send_time.spec import POPULATION_PROFILE
from serving import volume_pacing
from serving.volume_pacing import Clock
from serving.volume_values import Valued
from tests.builders import NEW_YORK, a_request, a_situation

MIDNIGHT = datetime(2026, 3, 2, tzinfo=NEW_YORK)
SETTINGS = Settings(epsilon=0.05, temperature=0.02, send_cost=0.02)
CHANNELS = (Channel.EMAIL, Channel.PUSH)
SHARES = {Channel.EMAIL: 0.12, Channel.PUSH: 0.08}
"""Of arrivals on an average day that each channel's target allows."""
WAYS = ("none", "price", "cap")
_MINUTES = 1440
_SAMPLE = 2_000
_REQUEST, _SITUATION = a_request(), a_situation()


@dataclass
class Way:
    """One way to keep a volume, and what came of it."""

    name: str
    standing: dict[Channel, Standing | None] = field(default_factory=lambda: dict.fromkeys(CHANNELS))
    sent: list[Counter[Channel]] = field(default_factory=list)
    worth: list[float] = field(default_factory=list)

    seen: list[tuple[datetime, Mapping[str, Any]]] = field(default_factory=list)

    def valued(self, now: datetime) -> Valued:
        """Return what was worth what in the last day, as the store would."""
        seen = [(at, kept) for at, kept in self.seen if at > now - timedelta(days=1)]
        prices = {channel.value: self.price(channel) for channel in CHANNELS}
        settings = SETTINGS.model_dump() if seen else None
        hours = np.bincount([at.hour for at, _ in seen], minlength=24).astype(float)
        since = seen[0][0] if seen else now
        return Valued.of(Drawn(tuple(hours), since, tuple(kept for _, kept in seen[-_SAMPLE:]), settings), prices)

    def price(self, channel: Channel) -> float:
        """Return what a message on a channel costs now."""
        standing = self.standing[channel]
        return standing.price if standing is not None else 0.0


def main() -> None:
    """Measure and print."""
    asked = parsed(
        __doc__, days=(8, "days of arrivals"), arrivals=(8_000, "on an average day"), seed=(0, "of the world")
    )
    found = measure(days=asked.days, arrivals=asked.arrivals, seed=asked.seed)
    if asked.json:
        print(json.dumps(found))
        return
    for name, way in found["ways"].items():
        print(f"{name:8}", *(f"{key}={value}" for key, value in way.items()))


def measure(*, days: int, arrivals: int, seed: int) -> dict[str, Any]:
    """Return, by way, the daily error of volume after the first day and what the sends were worth."""
    dice = np.random.default_rng(seed)
    targets = {channel: round(share * arrivals) for channel, share in SHARES.items()}
    ways = [Way(name) for name in WAYS]
    best: dict[str, list[float]] = {way.name: [] for way in ways}
    level = 0.0
    for day in range(days):
        level += dice.normal(0, 0.1)
        values, minutes = _arrivals(dice, arrivals, level)
        for way in ways:
            _day(way, MIDNIGHT + timedelta(days=day), values, minutes, targets, f"{seed}-{day}")
            best[way.name].append(_best(values, way.sent[-1]))
    return {
        "days": days,
        "arrivals_a_day": arrivals,
        "targets": {channel.value: target for channel, target in targets.items()},
        "ways": {way.name: _told(way, targets, best[way.name]) for way in ways},
    }


def _arrivals(dice: np.random.Generator, arrivals: int, level: float) -> tuple[Any, Any]:
    """Return the chance of a conversion by channel of each arrival, in the order of their minutes."""
    hours = np.array(POPULATION_PROFILE[:24]) / sum(POPULATION_PROFILE[:24])
    count = dice.poisson(arrivals * np.exp(dice.normal(0, 0.2)))
    minutes = np.sort(dice.choice(24, count, p=hours) * 60 + dice.integers(0, 60, count))
    common = dice.lognormal(-2.5 + level, 0.6, (count, 1))
    return np.minimum(common * dice.lognormal(0, 0.4, (count, len(CHANNELS))), 0.9), minutes


def _terms(p: float, price: float = 0.0) -> ChannelTerms:
    return ChannelTerms(p_convert=float(p), cost=SETTINGS.send_cost, price=price)


def _kept(row: Sequence[float]) -> dict[str, Any]:
    return {channel.value: _terms(p).model_dump(mode="json") for channel, p in zip(CHANNELS, row, strict=True)}


def _day(
    way: Way,
    midnight: datetime,
    values: Any,
    minutes: Any,
    targets: Mapping[Channel, int],
    name: str,
) -> None:
    sent, worth = Counter[Channel](), 0.0
    new, drawn = Counter[Channel](), 0
    way.sent.append(sent)
    starts = np.searchsorted(minutes, np.arange(_MINUTES + 1))
    for minute in range(_MINUTES):
        if way.name == "price":
            now = midnight + timedelta(minutes=minute)
            drawn = _moved(way, now, targets, new, drawn)
        for place in range(starts[minute], starts[minute + 1]):
            drawn += 1
            if way.name == "price":
                way.seen.append((midnight + timedelta(minutes=minute), _kept(values[place])))
            channel = _drawn(way, values[place], targets, sent, f"{name}-{place}")
            if channel is not None:
                sent[channel] += 1
                new[channel] += 1
                worth += float(values[place][CHANNELS.index(channel)]) - SETTINGS.send_cost
    way.worth.append(worth)


def _drawn(
    way: Way, row: Sequence[float], targets: Mapping[Channel, int], sent: Counter[Channel], name: str
) -> Channel | None:
    """Return the channel that the stage draws for one arrival."""
    open_ = [channel for channel in CHANNELS if way.name != "cap" or sent[channel] < targets[channel]]
    if not open_:
        return None
    terms = {channel: _terms(p, way.price(channel)) for channel, p in zip(CHANNELS, row, strict=True)}
    asked = Asked(name, _REQUEST, _SITUATION, Expected(channels=terms), is_holdout=False, settings=SETTINGS)
    return channel_stage(asked, open_).action.channel


def _moved(
    way: Way,
    now: datetime,
    targets: Mapping[Channel, int],
    new: Counter[Channel],
    drawn: int,
) -> int:
    """Take the step of a minute for each channel; return how many arrivals are still to be counted."""
    clock, moved = Clock(now, NEW_YORK, QuietHours(), now), False
    for channel in CHANNELS:
        standing, target = way.standing[channel], VolumeTarget(messages_a_day=targets[channel])
        counted = Counted(new[channel], new[channel], drawn)
        if volume_pacing.is_opening(standing, counted, clock):
            if standing is not None and standing.at.astimezone(NEW_YORK).date() < now.date():
                # Yesterday's last minutes are in the count of the step that opens the day: none of them are today's.
                counted = replace(counted, day=0)
            after: Standing | None = volume_pacing.opened(
                standing, target, counted, way.valued(now), channel.value, clock
            )
        elif standing is not None:
            after = volume_pacing.stepped(standing, target, counted, clock)
        if after is not None:
            way.standing[channel], new[channel], moved = after, 0, True
    return 0 if moved else drawn


def _best(values: Any, sent: Counter[Channel]) -> float:
    """Return at most what as many sends could be worth: each channel's best, as if the other took none of them."""
    return sum(
        float(np.sort(values[:, place])[::-1][: sent[channel]].sum()) for place, channel in enumerate(CHANNELS)
    ) - (SETTINGS.send_cost * sent.total())


def _told(way: Way, targets: Mapping[Channel, int], best: Sequence[float]) -> dict[str, Any]:
    later = way.sent[1:]
    error = {
        channel.value: round(float(np.mean([abs(day[channel] / targets[channel] - 1) for day in later])), 4)
        for channel in CHANNELS
    }
    sends = sum(day.total() for day in later)
    return {
        "first_day_of_target": round(way.sent[0].total() / sum(targets.values()), 3),
        "of_target": round(sends / (len(later) * sum(targets.values())), 3),
        "volume_error": error,
        "value_a_day": round(float(np.mean(way.worth[1:])), 2),
        "value_a_send": round(sum(way.worth[1:]) / max(sends, 1), 4),
        "value_of_best": round(sum(way.worth[1:]) / sum(best[1:]), 3),
    }


if __name__ == "__main__":
    main()

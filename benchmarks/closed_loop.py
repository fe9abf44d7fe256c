"""The whole loop on made-up people: simulate, ingest, train, gate, promote, decide, week after week over the real API.

The stack of ``kairos up`` runs on free ports in a folder of its own. Each recipient is asked about once a day; Kairos
says whether, where and with which wording to send. Every other week the lineage is run as at night: whether a model
comes out of it, and whether it serves, is the gate's say. The same people, drawn from the same seed, are then written
to by senders without Kairos: same channels, same hours, same wordings by chance. Two have a fixed cap of messages a
week; one sends as many messages as Kairos each day, to people by chance. In the first weeks no model serves, so that
all but the lower cap send what they may.

``--json`` prints one line for machines at the end; ``--figure`` writes the plot.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from adapters.keyring import Keyring
from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.engine import Database
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.tenants import Tenants
from adapters.secrets import SecretBox
from adapters.settings import Settings
from adapters.simulation.journal import Journal
from adapters.simulation.player import Cast, Player
from adapters.simulation.service import Service
from benchmarks.arguments import parsed
from benchmarks.closed_loop_figure import draw
from cli import services
from cli.screen import Screen
from cli.simulate import summary
from cli.stack import Stack
from models.simulator import sender
from models.simulator.population import Booleans
from models.simulator.rhythms import Integers
from models.simulator.run import Day, simulate, together
from models.simulator.scenarios import CHANNELS, SCENARIOS
from models.simulator.state import DayState, Policy, Sends

NEEDED = (services.MLFLOW, services.API, services.RELAY, services.CONSUMER)
CAPS = (3, 7)
AS_MANY = "as_many"
ACTOR = "bench"
_WEEK = 7
_LOADED_SECONDS = 4.0
"""The service looks for a new champion every second."""


def main() -> None:
    """Play, train, compare, and tell."""
    asked = parsed(
        __doc__,
        recipients=(200, "people"),
        weeks=(12, "weeks of seven days"),
        every=(2, "weeks between two trainings"),
        seed=(100, "of the people and their days"),
        scenario=("realistic", "laws they follow"),
        temperature=(0.005, "of the policy, in conversions"),
        figure=("", "where the plot goes, .png; none where empty"),
    )
    began = time.monotonic()
    days = asked.weeks * _WEEK
    cast = Cast(SCENARIOS[asked.scenario], asked.recipients, days, asked.seed, _start(days), f"loop{asked.seed}")
    with tempfile.TemporaryDirectory(prefix="kairos-loop-") as folder:
        played, trainings, told = _loop(cast, Path(folder), every=asked.every, temperature=asked.temperature)
    runs = {"kairos": summary(together(played))}
    for cap in CAPS:
        runs[f"cap:{cap}"] = summary(
            simulate(cast.scenario, fixed_cap(cap), people=cast.people, days=cast.days, seed=cast.seed)
        )
    counts = [len(day.sends) for day in played]
    runs[AS_MANY] = summary(
        simulate(cast.scenario, as_many(counts), people=cast.people, days=cast.days, seed=cast.seed)
    )
    found = cast.about() | {"runs": runs, "served": _served(runs, trainings), "trainings": trainings, "service": told}
    found["seconds"] = round(time.monotonic() - began)
    if asked.figure:
        draw(runs, trainings, Path(asked.figure))
    print(json.dumps(found) if asked.json else _table(found))


def fixed_cap(times: int) -> Policy:
    """Return a sender without Kairos: so many messages in any seven days, by push where allowed, else by e-mail."""

    def policy(state: DayState) -> Sends:
        offset = np.arange(state.people) % _WEEK
        due = ((state.day + 1 + offset) * times) // _WEEK - ((state.day + offset) * times) // _WEEK
        return by_push_else_email(state, np.flatnonzero((due > 0) & may_be_sent(state)))

    return policy


def as_many(counts: Sequence[int]) -> Policy:
    """Return a sender without Kairos: ``counts[day]`` messages, or as many as may be sent, to people by chance."""

    def policy(state: DayState) -> Sends:
        may = np.flatnonzero(may_be_sent(state))
        some = state.dice.permutation(may)[: counts[state.day]]
        return by_push_else_email(state, np.sort(some))

    return policy


def may_be_sent(state: DayState) -> Booleans:
    """Return who may be written to on a channel of the message, shape (n,)."""
    push, email = (state.seen.consent[:, CHANNELS.index(name)] for name in sender.LIVE_CHANNELS)
    found: Booleans = push | email
    return found


def by_push_else_email(state: DayState, people: Integers) -> Sends:
    """Return a message to each of these people, its wording by chance."""
    who = people.astype(np.int64)
    push = state.seen.consent[who, CHANNELS.index("push")]
    channel = np.where(push, CHANNELS.index("push"), CHANNELS.index("email")).astype(np.int64)
    variant = state.dice.choice(state.shown, len(who))
    hours = sender.hours(state)[who].astype(np.float64)
    return Sends(who, channel, variant, hours, np.full(len(who), 1 / len(state.shown)))


def _served(runs: Mapping[str, Any], trainings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what each run came to in the weeks in which a model served; nothing where none ever did."""
    first = next((each["week"] for each in trainings if each["promoted"]), None)
    if first is None:
        return {}
    found: dict[str, Any] = {"from_week": first + 1}
    for name, run in runs.items():
        weeks = [week for week in run["weeks"] if week["week"] > first]
        total = {part: sum(week[part] for week in weeks) for part in ("sent", "opened", "opted_out")}
        active = sum(week["active_share"] for week in weeks) / len(weeks)
        rate = round(total["opened"] / total["sent"], 4) if total["sent"] else None
        found[name] = total | {"rate": rate, "active_share": round(active, 4)}
    return found


def _start(days: int) -> datetime:
    """Return the last Monday from which all days have passed."""
    latest = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days + 1)
    return latest - timedelta(days=latest.weekday())


def _loop(
    cast: Cast, folder: Path, *, every: int, temperature: float
) -> tuple[list[Day], list[dict[str, Any]], dict[str, Any]]:
    settings = Settings(
        data_dir=folder / "data",
        first_partition_date=cast.start.date().isoformat(),
        last_partition_date=(cast.start + timedelta(days=cast.days - 1)).date().isoformat(),
        model_poll_seconds=1.0,
        policy_temperature=temperature,
    )
    with Screen() as screen, Stack(settings, screen=screen, free_ports=True) as stack:
        where = stack.start_servers()
        database = Database(where.databases.app, keyring=Keyring.of(stack.settings), pool_size=2)
        box = SecretBox.of(stack.settings)
        tenants = Tenants(database, box)
        tenants.create(cast.name, display_name="Closed loop", time_zone="UTC", is_sandbox=True)
        key = ApiKeys(database, box).issue(cast.name, name=ACTOR)
        stack.start_services(NEEDED)
        clock = _clock(tenants, cast.name)
        tenant = tenants.get(cast.name)
        with Service(where.api_url, key) as service:
            player = Player(
                cast,
                service,
                Journal(None, cast.about()),
                set_clock=clock,
                publish=lambda kind: MessageTypes(database).publish(tenant, [kind], actor=ACTOR),
            )
            played, trainings = _weeks(player, stack, cast, every=every)
        database.close()
        stack.discard()
    return played, trainings, player.told.as_json()


def _clock(tenants: Tenants, name: str) -> Callable[[datetime], object]:
    return lambda at: tenants.shift_clock(name, (at - datetime.now(UTC)).total_seconds(), actor=ACTOR)


def _weeks(player: Player, stack: Stack, cast: Cast, *, every: int) -> tuple[list[Day], list[dict[str, Any]]]:
    played: list[Day] = []
    trainings: list[dict[str, Any]] = []
    trained_until = 0
    for day in player.days():
        played.append(day)
        week, rest = divmod(day.number + 1, _WEEK)
        if rest == 0:
            counts = [each.counts for each in played[-_WEEK:]]
            _say(f"week {week}: " + ", ".join(f"{sum(c[n] for c in counts):.0f} {n}" for n in ("sent", "opened")))
        if rest == 0 and week % every == 0 and day.number + 1 < cast.days:
            trainings.append(_train(stack, cast, trained_until, day.number) | {"week": week})
            _say(f"  trained: {trainings[-1]}")
            trained_until = day.number + 1
    return played, trainings


def _train(stack: Stack, cast: Cast, first: int, last: int) -> dict[str, Any]:
    """Run the lineage for these days, as a command beside the service, and return what it came to."""
    began = time.monotonic()
    span = [(cast.start + timedelta(days=day)).date().isoformat() for day in (first, last)]
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "cli.app", "materialize", "--json", "--from", span[0], "--to", span[1]],
        cwd=services.ROOT,
        env=services.environment(services.Site(stack.settings, stack.endpoints, {})),
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.strip().splitlines()
    if not lines:
        raise RuntimeError(f"the lineage said nothing: {done.stderr[-2000:]}")
    outcome = json.loads(lines[-1])
    threading.Event().wait(_LOADED_SECONDS)
    assets = outcome["assets"]
    model, test = assets.get("engagement_model", {}), assets.get("out_engagement_holdout", {})
    return {
        "promoted": "engagement_champion" in assets,
        "version": assets.get("engagement_champion", model).get("mlflow_model_version"),
        "broken": outcome["broken"],
        "failed": outcome["failed_steps"],
        "rows": assets.get("out_engagement_training_set", {}).get("messages_sent"),
        "answered": assets.get("out_engagement_training_set", {}).get("answered"),
        "auc": test.get("auc", model.get("auc")),
        "skill": test.get("skill", model.get("skill")),
        "seconds": round(time.monotonic() - began),
    } | _why(done.stderr, outcome)


def _why(said: str, outcome: dict[str, Any]) -> dict[str, str]:
    """Return what the first step that failed said, where one did."""
    _, _, after = said.partition(": FAILED\n")
    return {} if outcome["succeeded"] else {"why": after.splitlines()[0][:300] if after else ""}


def _table(found: dict[str, Any]) -> str:
    lines = ["week  " + "".join(f"{name:>34}" for name in found["runs"])]
    lines.append("      " + "    sent  answers  left  active/day" * len(found["runs"]))
    weeks = range(len(found["runs"]["kairos"]["weeks"]))
    lines += [
        f"{week + 1:>4}  " + "".join(_cell(run["weeks"][week]) for run in found["runs"].values()) for week in weeks
    ]
    lines.append("   all " + "".join(_cell(run["total"]) for run in found["runs"].values()))
    lines += [f"training after week {each['week']}: {each}" for each in found["trainings"]]
    lines += [f"while a model served: {name}: {told}" for name, told in found["served"].items()]
    lines += [f"{name}: {counts}" for name, counts in found["service"].items()]
    return "\n".join([*lines, f"{found['seconds']} s"])


def _cell(row: dict[str, Any]) -> str:
    return f"{row['sent']:8,} {row['opened']:8,} {row['opted_out']:5,} {row['active_share']:11.3f}"


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()

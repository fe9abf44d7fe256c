"""``kairos simulate``: lets a made-up population live through some weeks under a policy. No server is needed.

With ``--api`` a running service decides instead of a policy, and is told what people did (``cli/simulate_live.py``).
The same scenario, policy, people, days and seed give the same answer; with ``--start`` also the same file of events.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.exit_codes import ExitCode, Refused

if TYPE_CHECKING:
    from models.simulator.run import Run
    from models.simulator.scenarios import Scenario

_DAY = "%Y-%m-%d"
_POLICIES = "none, or cap:K, hour:K, fit:K, oracle:K with K messages a week (cap:3); cap:K:email by e-mail."
MOST_PERSON_DAYS = 20_000_000
"""More would take more memory than a small machine has."""


def simulate(
    *,
    scenario: Annotated[str, typer.Option(help="realistic, easy, misspecified, nonstationary, low_rate or null.")] = (
        "realistic"
    ),
    users: Annotated[int, typer.Option(help="People.", min=1)] = 4000,
    days: Annotated[int, typer.Option(help="Days, from a Monday.", min=1)] = 84,
    policy: Annotated[str | None, typer.Option(help=_POLICIES)] = None,
    api: Annotated[
        str | None, typer.Option(help="URL of a service that decides instead, for the sandbox of KAIROS_API_KEY.")
    ] = None,
    journal: Annotated[Path | None, typer.Option(help="With --api: where answers are kept, to go on from.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same people and days.", min=0)] = 0,
    events: Annotated[
        Path | None, typer.Option(help="Write the events there, for `kairos ingest`: .jsonl or .parquet.")
    ] = None,
    start: Annotated[
        datetime | None, typer.Option(help="Monday of day 0; else the last all days have passed from.", formats=[_DAY])
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of sentences.")] = False,
) -> None:
    """Simulate people who get messages under a policy, and tell what they did week by week."""
    from models.simulator.scenarios import SCENARIOS

    _check(scenario, SCENARIOS, users * days)
    first = _start(start, days)
    if api is None:
        _only("--journal", journal, "only with --api")
        asked = {"scenario": scenario, "users": users, "days": days, "policy": policy or "cap:3", "seed": seed}
        told = _offline(asked, SCENARIOS[scenario], events, first)
        print(json.dumps(told) if as_json else sentences(told))
        return
    from cli import simulate_live

    _only("--policy", policy, "not with --api: the service decides")
    _only("--events", events, "not with --api: the service is told")
    wanted = simulate_live.Wanted(SCENARIOS[scenario], users, days, seed, first, api, journal)
    print(simulate_live.run(wanted, as_json=as_json))


def _offline(asked: dict[str, Any], laws: "Scenario", events: Path | None, first: datetime) -> dict[str, Any]:
    from adapters import simulated_event_files as files
    from models.simulator import policies, state
    from models.simulator.run import simulate as live

    try:
        files.check(events)
        run = live(
            laws, policies.by_name(asked["policy"]), people=asked["users"], days=asked["days"], seed=asked["seed"]
        )
        name = f"{laws.name}-{asked['policy'].replace(':', '.')}-{asked['seed']}-{first:%Y%m%d}"
        written = files.write(run, events, name=name, start=first) if events is not None else None
    except (state.BadPolicy, files.CannotWrite) as error:
        raise Refused(str(error), ExitCode.USAGE) from None
    return asked | summary(run) | {"events": None if events is None else {"file": str(events), "count": written}}


def _only(option: str, given: object, when: str) -> None:
    if given is not None:
        raise Refused(f"{option}: {when}", ExitCode.USAGE)


def _check(scenario: str, known: Mapping[str, "Scenario"], person_days: int) -> None:
    if scenario not in known:
        raise Refused(f"--scenario: no {scenario!r}; expected one of {', '.join(known)}", ExitCode.USAGE)
    if person_days > MOST_PERSON_DAYS:
        raise Refused(f"--users times --days: expected at most {MOST_PERSON_DAYS:,}", ExitCode.USAGE)


def summary(run: "Run") -> dict[str, Any]:
    """Return totals, and a row for each week; the last may be short."""
    daily = run.daily
    weeks = [{"week": int(week) + 1} | _figures(rows, run.people) for week, rows in daily.groupby(daily["day"] // 7)]
    return {"total": _figures(daily, run.people), "weeks": weeks}


def _figures(rows: Any, people: int) -> dict[str, Any]:
    sent, person_days = int(rows["sent"].sum()), people * len(rows)
    counts = {name: int(rows[name].sum()) for name in ("asked", "sent", "opened", "opted_out", "bought")}
    return counts | {
        "open_rate": counts["opened"] / sent if sent else None,
        "sessions_per_person_day": float(rows["sessions"].sum() / person_days),
        "active_share": float(rows["active"].sum() / person_days),
        "reach": {name.partition(".")[2]: float(rows[name].iloc[-1]) for name in rows if name.startswith("reach.")},
    }


def _start(asked: datetime | None, days: int) -> datetime:
    if asked is None:
        latest = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)
        return latest - timedelta(days=latest.weekday())
    if asked.weekday() != 0:
        raise Refused(f"--start: {asked:%Y-%m-%d} is no Monday", ExitCode.USAGE)
    return asked.replace(tzinfo=UTC)


def sentences(told: dict[str, Any]) -> str:
    """Return a run, week by week, as a person reads it."""
    lines = [
        "{scenario}, {policy}: {users:,} people, {days} days, seed {seed}".format(**told),
        "week     sent  opened   rate  opt-outs  push reach  sessions/day  active",
    ]
    lines += [_line(str(week["week"]), week) for week in told["weeks"]]
    lines.append(_line("all", told["total"]))
    if told["events"] is not None:
        lines.append("{count:,} events in {file}".format(**told["events"]))
    return "\n".join(lines)


def _line(name: str, row: dict[str, Any]) -> str:
    rate = "-" if row["open_rate"] is None else f"{row['open_rate']:.2%}"
    return (
        f"{name:>4} {row['sent']:8,} {row['opened']:7,} {rate:>6} {row['opted_out']:9,} {row['reach']['push']:11.1%}"
        f" {row['sessions_per_person_day']:13.3f} {row['active_share']:7.1%}"
    )

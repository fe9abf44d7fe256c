"""``kairos simulate --api URL``: the population plays against a running service, in a sandbox whose clock it moves.

Stopped at any moment, the same command with the same ``--journal`` goes on: answers that were given are not asked for
again, and events that were told twice are stored once.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.credential import Session, session
from cli.exit_codes import ExitCode, Refused

if TYPE_CHECKING:
    from adapters.simulation.player import Cast, Player
    from models.simulator.run import Day
    from models.simulator.scenarios import Scenario

SCOPE = "types:write"
MOST_PEOPLE = 100_000


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for."""

    scenario: "Scenario"
    people: int
    days: int
    seed: int
    start: datetime
    url: str
    journal: Path | None

    def cast(self) -> "Cast":
        """Return who plays."""
        from adapters.simulation.player import Cast

        name = f"live-{self.scenario.name}-{self.seed}-{self.start:%Y%m%d}"
        return Cast(self.scenario, self.people, self.days, self.seed, self.start, name)


def run(wanted: Wanted, *, as_json: bool) -> str:
    """Play, telling each week on standard error, and return what is printed at the end.

    Raises:
        Refused: the tenant is no sandbox, the journal is another run's, or the service refuses.
    """
    from cli.simulate import sentences, summary
    from models.simulator.run import together

    if wanted.people > MOST_PEOPLE:
        raise Refused(f"--users: expected at most {MOST_PEOPLE:,} with --api", ExitCode.USAGE)
    days = []
    with playing(wanted) as player:
        for day in player.days():
            days.append(day)
            _tell(day, days)
        told = player.told.as_json()
    facts = wanted.cast().about() | {"users": wanted.people, "policy": wanted.url}
    found = facts | summary(together(days)) | {"events": None, "service": told}
    return json.dumps(found) if as_json else f"{sentences(found)}\n{_service(told)}"


@contextmanager
def playing(wanted: Wanted) -> "Iterator[Player]":
    """Open a player for the sandbox whose key is given.

    Raises:
        Refused: as ``run`` does.
    """
    from adapters.simulation.journal import Journal, OtherRun
    from adapters.simulation.player import Player
    from adapters.simulation.service import Service, ServiceFault

    with session(SCOPE) as opened:
        key = opened.settings.api_key
        if not opened.tenant.is_sandbox or key is None:
            raise Refused(f"{opened.tenant.tenant} is no sandbox: its clock stays as it is", ExitCode.USAGE)
        cast = wanted.cast()
        try:
            journal = Journal(wanted.journal, cast.about())
            with Service(wanted.url, key.get_secret_value()) as service:
                yield Player(
                    cast, service, journal, set_clock=partial(_set_clock, opened), publish=partial(_publish, opened)
                )
        except (OtherRun, OSError) as error:
            raise Refused(f"--journal: {error}", ExitCode.USAGE) from None
        except ServiceFault as error:
            raise Refused(str(error)) from None


def _set_clock(opened: Session, at: datetime) -> None:
    from adapters.postgres.tenants import Tenants
    from adapters.secrets import SecretBox

    tenants = Tenants(opened.database, SecretBox.of(opened.settings))
    tenants.shift_clock(opened.tenant.tenant, (at - opened.clock.real()).total_seconds(), actor=opened.actor)


def _publish(opened: Session, definition: Any) -> None:
    from adapters.postgres.message_types import MessageTypes, OffBrand

    try:
        MessageTypes(opened.database).publish(opened.tenant, [definition], actor=opened.actor)
    except OffBrand as error:
        raise Refused(str(error)) from None


def _tell(day: "Day", days: "list[Day]") -> None:
    if (day.number + 1) % 7:
        return
    week = [each.counts for each in days[-7:]]
    sent, opened, left = (int(sum(each[name] for each in week)) for name in ("sent", "opened", "opted_out"))
    sys.stderr.write(f"week {day.number // 7 + 1}: {sent} sent, {opened} answered, {left} opted out\n")


def _service(told: dict[str, dict[str, int]]) -> str:
    return "\n".join(
        f"{name:<9} " + ", ".join(f"{count:,} {what}" for what, count in counts.items())
        for name, counts in told.items()
    )

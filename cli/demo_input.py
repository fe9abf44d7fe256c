"""The demo's real input: The Complete Journey as events, its households as profiles, and consents that are invented.

The data says nothing of consent, so the demo grants it, and says so, to every household a campaign was ever sent to.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

from adapters.completejourney import SHOPS, CompleteJourney, NoInput
from cli.exit_codes import ExitCode, Refused
from cli.ingest import sentence

if TYPE_CHECKING:
    from adapters.endpoints import Endpoints
    from adapters.postgres.engine import Database
    from adapters.postgres.tenants import Tenants
    from adapters.settings import Settings
    from domain.consent import ConsentChange
    from domain.ingest import Counts
    from domain.tenants import Tenant

TENANT = "demo"
SOURCE = "demo"
GRANTED_AT = datetime(2016, 1, 1, tzinfo=UTC)
MORNING = time(10)
MESSAGE_TYPES = Path(__file__).parents[1] / "deploy/message_types"
LAST_QUARTER = datetime(2017, 10, 1, tzinfo=SHOPS)
"""Divides training from test where the data goes on after it; otherwise the last quarter before it does."""
EARLIER_QUARTER = datetime(2017, 7, 1, tzinfo=SHOPS)
_PROGRESS_EVERY = 20_000


@dataclass(frozen=True)
class DemoInput:
    """The data and the days it spans."""

    journey: CompleteJourney
    first: datetime
    last: datetime

    @classmethod
    def find(cls, folder: Path | None) -> Self:
        """Return the input.

        Raises:
            Refused: there is none; exit code 2.
        """
        try:
            journey = CompleteJourney.find(folder)
        except NoInput as error:
            raise Refused(str(error), ExitCode.USAGE) from None
        first, last = journey.span()
        return cls(journey, first, last)

    @property
    def first_day(self) -> date:
        """First UTC day with events."""
        return self.first.astimezone(UTC).date()

    @property
    def morning(self) -> datetime:
        """The demo's now: ten in the morning at the shops, on the day after the last event."""
        return self._next_day(MORNING)

    @property
    def late_evening(self) -> datetime:
        """Half past ten that evening, within quiet hours."""
        return self._next_day(time(22, 30))

    @property
    def last_whole_day(self) -> date:
        """Last UTC day that is over at the demo's now."""
        return (self.morning.astimezone(UTC) - timedelta(days=1)).date()

    @property
    def cut(self) -> datetime:
        """What divides training from test."""
        return LAST_QUARTER if self.last > LAST_QUARTER + timedelta(days=2) else EARLIER_QUARTER

    def _next_day(self, at: time) -> datetime:
        return datetime.combine(self.last.astimezone(SHOPS).date() + timedelta(days=1), at, SHOPS)


@dataclass(frozen=True)
class Loaded:
    """What was stored: the key to ask with, how much, and who consented."""

    api_key: str
    events: int
    recipients: int
    consenting: list[str]
    silent: list[str]


def load(settings: "Settings", endpoints: "Endpoints", given: DemoInput, say: Callable[[str], None]) -> Loaded:
    """Create the demo's tenant, publish its message types, and store events, profiles and consents."""
    from adapters.postgres.api_keys import ApiKeys
    from adapters.postgres.tenants import Tenants
    from adapters.secrets import SecretBox

    box = SecretBox.of(settings)
    with _database(settings, endpoints) as database:
        tenants = Tenants(database, box)
        tenants.create(TENANT, display_name="The Complete Journey", time_zone=str(SHOPS), is_sandbox=True)
        tenant = set_clock(tenants, given.morning)
        _publish(database, tenant)
        consenting, silent = _people(database, tenant, given, say)
        counts = _events(settings, database, tenant, given, say)
        key = ApiKeys(database, box).issue(TENANT, name="demo")
    return Loaded(key, counts.stored, len(consenting) + len(silent), consenting, silent)


def set_clock(tenants: "Tenants", now: datetime) -> "Tenant":
    """Shift the demo tenant's clock so that it is ``now`` there."""
    from adapters.clock import real_now

    return tenants.shift_clock(TENANT, (now - real_now()).total_seconds())


@contextmanager
def _database(settings: "Settings", endpoints: "Endpoints") -> "Iterator[Database]":
    from adapters.keyring import Keyring
    from adapters.postgres.engine import Database

    database = Database(endpoints.databases.app, keyring=Keyring.of(settings))
    try:
        yield database
    finally:
        database.close()


def _publish(database: "Database", tenant: "Tenant") -> None:
    from adapters import message_type_files
    from adapters.postgres.message_types import MessageTypes

    MessageTypes(database).publish(tenant, message_type_files.load(MESSAGE_TYPES), actor=SOURCE)


def _people(
    database: "Database", tenant: "Tenant", given: DemoInput, say: Callable[[str], None]
) -> tuple[list[str], list[str]]:
    from adapters.postgres.consent import ConsentStore
    from adapters.postgres.profiles import Profiles
    from domain.profiles import Profile, ZoneClaim, ZoneSource

    zone = ZoneClaim(name=str(SHOPS), source=ZoneSource.DECLARED)
    households = given.journey.households()
    profiles = {each.recipient_id: Profile(time_zone=zone, attributes=dict(each.attributes)) for each in households}
    Profiles(database).put_many(tenant, profiles, actor=SOURCE)
    consenting = [each.recipient_id for each in households if each.is_in_a_campaign]
    silent = [each.recipient_id for each in households if not each.is_in_a_campaign]
    changes = dict.fromkeys(consenting, _grants())
    ConsentStore(database).record_many(tenant, changes, actor=SOURCE, now=given.morning)
    say(f"      {len(households):,} households; consent is not in the data and was invented for {len(consenting):,},")
    say(f"      source={SOURCE}; the {len(silent)} that no campaign was ever sent to have none")
    return consenting, silent


def _grants() -> "tuple[ConsentChange, ...]":
    from domain.consent import ConsentChange, ConsentStatus
    from domain.values import Purpose

    return tuple(
        ConsentChange(purpose=purpose, status=ConsentStatus.GIVEN, effective_at=GRANTED_AT, source=SOURCE)
        for purpose in (Purpose.MARKETING, Purpose.PERSONALIZATION)
    )


def _events(
    settings: "Settings", database: "Database", tenant: "Tenant", given: DemoInput, say: Callable[[str], None]
) -> "Counts":
    from adapters import event_import
    from adapters.clock import Clock
    from adapters.postgres.event_effects import EventEffects
    from adapters.postgres.events import EventLog
    from domain.ingest import parse

    expected = given.journey.count()
    log = EventLog(database, EventEffects(), retention=settings.event_retention)
    told = 0

    def progress(counts: "Counts") -> None:
        nonlocal told
        if counts.received - told >= _PROGRESS_EVERY or counts.received >= expected:
            told = counts.received
            say(f"      {counts.received:,} of {expected:,} events")

    items = (parse(event, position) for position, event in enumerate(given.journey.events(), start=1))
    event_import.run(log, Clock(), tenant, items, origin="completejourney", progress=progress)
    books = log.conservation(tenant.tenant)
    say(f"      {sentence(books)}")
    return books

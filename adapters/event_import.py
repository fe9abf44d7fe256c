"""Imports a long row of items: in batches, each committed before it counts, the next one read meanwhile.

It may be stopped and repeated at any point: what was committed is then a duplicate.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from adapters.clock import Clock
from adapters.postgres.events import EventLog
from domain.ingest import Counts, Item, ItemVerdict
from domain.tenants import Tenant

BATCH_ITEMS = 5_000
BATCH_BYTES = 8 * 1024 * 1024
"""A batch of large events ends early, so that memory stays bounded."""


def run(
    event_log: EventLog,
    clock: Clock,
    tenant: Tenant,
    items: Iterable[Item],
    *,
    origin: str,
    progress: Callable[[Counts], None],
) -> Counts:
    """Store the items and return what became of them.

    Args:
        event_log: where they go.
        clock: the tenant's.
        tenant: whose they are.
        items: read while the batch before is committed.
        origin: where they came from; with each position it names the row of a dead letter.
        progress: told the counts so far after each commit.

    Raises:
        Unavailable: PostgreSQL is away; what was told to ``progress`` is stored.
    """
    total = Counts()
    source = iter(items)

    def append(batch: list[Item]) -> list[ItemVerdict]:
        return event_log.append(tenant, batch, origin=origin, received_at=clock.real(), now=clock.now(tenant))

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="import") as committer:
        committing: Future[list[ItemVerdict]] | None = None
        while batch := list(_batch(source)):
            if committing is not None:
                total += Counts.of(committing.result())
                progress(total)
            committing = committer.submit(append, batch)
        if committing is not None:
            total += Counts.of(committing.result())
            progress(total)
    return total


def _batch(source: Iterator[Item]) -> Iterator[Item]:
    size = 0
    for item in islice(source, BATCH_ITEMS):
        yield item
        size += len(item.raw)
        if size >= BATCH_BYTES:
            return

"""How often each data key was used, so that it is retired long before random 96-bit nonces may meet (SP 800-38D, 8.3).

AES-GCM with random nonces allows 2^32 uses of a key. One use in 2^16 is drawn and counted as 2^16: a key is retired at
about 2^30, within a few per cent, and almost no use writes anything. A process that ends loses no count.
"""

import secrets
from collections import Counter
from collections.abc import Callable, Iterable

import structlog
from sqlalchemy import Connection, text

MOST_USES = 2**30
"""A quarter of what is allowed: drawing, and transactions that are rolled back, are far from making up the rest."""
STEP = 2**16
log = structlog.get_logger("kairos.data_keys")


def drawn(
    used: Iterable[tuple[str, str]], *, step: int, below: Callable[[int], int] = secrets.randbelow
) -> Counter[tuple[str, str]]:
    """Return what to add to the counts of keys, a multiple of ``step`` each; on average it is one for each use.

    Args:
        used: subject and id of the key, once for each use.
        step: one use in so many is drawn.
        below: draws a whole number from 0 to its argument less one.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for key in used:
        if below(step) == 0:
            counts[key] += step
    return counts


def count(connection: Connection, tenant: str, used: Iterable[tuple[str, str]]) -> None:
    """Count uses of a tenant's data keys; one that reaches the most is retired: it opens, and seals nothing new.

    Never waits for a row that another transaction counts at: what is then not counted is rare and small.
    """
    counts = drawn(used, step=STEP)
    if not counts:
        return
    # As whoever makes keys: an erasure, which deletes the row, is waited for here and not when a row is ours.
    connection.execute(LOCK_AS_MAKER, {"tenant": tenant})
    for (subject_key, key_id), more in sorted(counts.items()):
        named = {"subject_key": subject_key, "key_id": key_id, "more": more, "most": MOST_USES}
        if connection.execute(_ADD, named).scalar_one_or_none():
            log.info("data_key.retired_by_use", tenant=tenant, key_id=key_id)


LOCK_AS_MAKER = text("SELECT pg_advisory_xact_lock_shared(hashtextextended('kairos.data_key/' || :tenant, 0))")
"""One lock for a tenant, not one for a subject: an import makes more keys than a server has room for locks."""

_ADD = text("""
WITH here AS (
    SELECT tenant, subject_key, key_id FROM subject_data_key
    WHERE subject_key = :subject_key AND key_id = :key_id AND retired_at IS NULL FOR UPDATE SKIP LOCKED
)
UPDATE subject_data_key k SET uses = k.uses + :more,
    retired_at = CASE WHEN k.uses + :more >= :most THEN clock_timestamp() END
FROM here WHERE (k.tenant, k.subject_key, k.key_id) = (here.tenant, here.subject_key, here.key_id)
RETURNING k.retired_at IS NOT NULL
""")

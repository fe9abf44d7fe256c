"""Metrics of the API, in Prometheus' format, for one process or for several workers.

A label is a tenant, a route or a verdict, never a recipient. Under several workers the values live in files that
``PROMETHEUS_MULTIPROC_DIR`` names, which BentoML sets before a worker starts.
"""

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client import generate_latest as _generate
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.values import MutexValue, ValueClass

from domain.ingest import Counts

CONTENT_TYPE = CONTENT_TYPE_LATEST
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)

REQUESTS = Counter("kairos_http_requests", "Requests answered.", ("method", "route", "status"))
SECONDS = Histogram("kairos_http_seconds", "Seconds from request to answer.", ("method", "route"), buckets=_BUCKETS)
_PROBLEMS = Counter("kairos_http_problems", "Problem documents answered, by code.", ("code", "severity"))
LIMITED = Counter("kairos_http_limited", "Requests refused by a rate limit.", ("tenant", "level"))
UNLIMITED = Counter("kairos_http_unlimited", "Requests let pass because the counters of the rate limits were away.")
REMEMBERED = Counter("kairos_http_remembered", "Requests let pass as their caller was last known: no store answered.")
TOKENS_REFUSED = Counter("kairos_http_tokens_refused", "Bearer tokens that were not taken.", ("why",))
IDEMPOTENT = Counter("kairos_http_idempotent", "Requests with an idempotency key, done or replayed.", ("what",))

LINT_FINDINGS = Counter("kairos_lint_findings", "Findings told of message types that were looked over.", ("code",))
JOBS = Counter("kairos_jobs", "Jobs ended, by kind and how.", ("kind", "how"))

_RECEIVED = Counter("kairos_ingest_received", "Items received by this service.", ("tenant",))
_STORED = Counter("kairos_ingest_stored", "Items stored as events by this service.", ("tenant",))
_DUPLICATE = Counter("kairos_ingest_duplicate", "Items this service had stored before.", ("tenant",))
_DEAD = Counter("kairos_ingest_dead", "Items this service kept as dead letters.", ("tenant",))

_RECORDED = Gauge(
    "kairos_ingest_recorded",
    "Items in the books of the event log, from every way in, by what became of them.",
    ("tenant", "what"),
    multiprocess_mode="mostrecent",
)
_IMBALANCE = Gauge(
    "kairos_ingest_imbalance",
    "received - stored - duplicate - dead in the books of the event log; anything but 0 is a loss.",
    ("tenant",),
    multiprocess_mode="mostrecent",
)

CHANGE_STREAMS = Gauge("kairos_change_streams", "Streams of changes that are open.", multiprocess_mode="livesum")
CHANGES_TOLD = Counter("kairos_changes_told", "Changes handed to streams, hidden kinds included.")


def count_ingest(tenant: str, counts: Counts) -> None:
    """Add one committed batch."""
    _RECEIVED.labels(tenant).inc(counts.received)
    _STORED.labels(tenant).inc(counts.stored)
    _DUPLICATE.labels(tenant).inc(counts.duplicate)
    _DEAD.labels(tenant).inc(counts.dead)


def count_problem(code: str, severity: str) -> None:
    """Add one problem document."""
    _PROBLEMS.labels(code, severity).inc()


def show_books(tenant: str, totals: Counts) -> None:
    """Show what the event log has on its books, file imports included."""
    for what, number in totals.model_dump().items():
        _RECORDED.labels(tenant, what).set(number)
    _IMBALANCE.labels(tenant).set(totals.imbalance)


def exposition() -> bytes:
    """Return every metric of every worker."""
    if ValueClass is MutexValue:
        # No folder was named when the metrics were made: their values are in this process, whatever is named by now.
        return _generate(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return _generate(registry)

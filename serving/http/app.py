"""The application: every route of the API, one strict reader, one error format, one OpenAPI document.

It does not start when a route does not say who may use it, and it is built without touching any server.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any

import anyio.to_thread
from fastapi import FastAPI

from adapters.postgres import bulk_preferences as bulk
from adapters.postgres.jobs import Handler
from adapters.postgres.plans import KIND as PLAN_KIND
from adapters.postgres.template_applications import APPLY_KIND, ROLL_BACK_KIND
from serving import logs, score_jobs
from serving.admission import THREADS_NEVER_SHED
from serving.books import Books
from serving.http import (
    attribute_schema,
    audit,
    brand_rules,
    bulk_preferences,
    business_rules,
    changes,
    consent,
    consent_platform,
    consent_records,
    contact_budget,
    content_source,
    dead_letters,
    decision_batches,
    decision_previews,
    decisions,
    digests,
    docs,
    errors,
    events,
    explanations,
    exports,
    handovers,
    health,
    hooks,
    jobs,
    keys,
    merges,
    models,
    openapi,
    opt_out_signal,
    outcomes,
    pauses,
    performance,
    plans,
    preference_advice,
    preference_policy,
    preference_sync,
    preference_templates,
    preferences,
    privacy,
    profiles,
    retention,
    rights,
    scores,
    service_levels,
    sms_replies,
    strategies,
    suppressions,
    template_applications,
    template_previews,
    tenants,
    type_lint,
    unsubscribe,
    variant_proposals,
    volume_targets,
)
from serving.http.access_log import AccessLog
from serving.http.address import PlainAddress
from serving.http.arrival import Arrival
from serving.http.auth import refuse_undeclared
from serving.http.compression import Compression
from serving.http.conditional import Conditional
from serving.http.cross_origin import CrossOrigin
from serving.http.stopping import told_to_stop
from serving.job_runner import JobRunner
from serving.parts import Parts
from serving.planner import forget as forget_plan

VERSION = "1"
ROUTERS = (
    events.router,
    dead_letters.router,
    # Before the one that reads any last part as the id of a decision.
    handovers.router,
    digests.router,
    decisions.router,
    decision_batches.router,
    decision_previews.router,
    outcomes.router,
    explanations.router,
    profiles.router,
    consent.router,
    consent_records.router,
    consent_platform.router,
    opt_out_signal.router,
    suppressions.router,
    sms_replies.router,
    unsubscribe.router,
    privacy.router,
    exports.router,
    exports.fetching,
    rights.router,
    merges.router,
    retention.router,
    audit.router,
    changes.router,
    contact_budget.router,
    brand_rules.router,
    type_lint.router,
    content_source.router,
    variant_proposals.router,
    business_rules.router,
    volume_targets.router,
    plans.router,
    performance.router,
    strategies.router,
    preference_policy.router,
    preference_templates.router,
    template_previews.router,
    # Before the one that reads any other last part as the name of a preference.
    preference_advice.router,
    preference_sync.router,
    template_applications.router,
    preferences.router,
    bulk_preferences.router,
    jobs.router,
    models.router,
    scores.router,
    keys.router,
    pauses.router,
    hooks.router,
    service_levels.router,
    attribute_schema.router,
    tenants.router,
    health.router,
    docs.router,
)

_LAYERS: tuple[Any, ...] = (Arrival, Conditional, Compression, CrossOrigin, PlainAddress, AccessLog)
"""Around every request, the outermost last."""


def _handlers(parts: Parts) -> dict[str, Handler]:
    """Return what does each kind of job."""
    return {
        bulk.KIND: bulk.store,
        PLAN_KIND: parts.planner.step,
        score_jobs.KIND: parts.score_jobs.do,
        APPLY_KIND: parts.templates.applications.apply_items,
        ROLL_BACK_KIND: parts.templates.applications.restore_items,
    }


def _job_runner(parts: Parts) -> JobRunner:
    # What people chose does not wait for what is computed.
    cleaners = {PLAN_KIND: forget_plan}
    return JobRunner(parts.jobs, parts.tenants, _handlers(parts), first=[bulk.KIND], cleaners=cleaners)


def build_app(open_parts: Callable[[], AbstractContextManager[Parts]]) -> FastAPI:
    """Return the application; its parts are opened when it starts and closed when it stops.

    Args:
        open_parts: builds the parts; it must not need any server to be up.

    Raises:
        UndeclaredRoute: a route says neither which permission it needs nor that it is public.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with open_parts() as parts:
            logs.configure(parts.settings.log_level)
            threads = parts.settings.service_threads + THREADS_NEVER_SHED
            anyio.to_thread.current_default_thread_limiter().total_tokens = threads
            app.state.parts = parts
            loop = asyncio.get_running_loop()
            with (
                Books(parts.event_log),
                parts.spool_drain,
                _job_runner(parts),
                parts.change_streams as streams,
                told_to_stop(lambda: loop.call_soon_threadsafe(streams.end)),
            ):
                yield
            for probe in parts.probes:
                probe.close()

    app = FastAPI(
        title="Kairos",
        version=VERSION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    for router in ROUTERS:
        app.include_router(router)
    for layer in _LAYERS:
        app.add_middleware(layer)
    errors.install(app)
    openapi.install(app)
    refuse_undeclared(app)
    return app

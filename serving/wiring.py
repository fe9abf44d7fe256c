"""Builds the parts of the service from the settings; processes beside it open what they need themselves.

Building connects to nothing, so the service starts while any server is down and says so.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from adapters import heartbeat, legal_rule_files
from adapters.bearer_tokens import BearerTokens
from adapters.clock import Clock, real_now
from adapters.decision_spool import DecisionSpool
from adapters.endpoints import Endpoints, resolve
from adapters.handover_tokens import HandoverTokens
from adapters.keyring import Keyring
from adapters.lake import Lake
from adapters.mlflow_versions import ModelVersions
from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.attribute_schemas import AttributeSchemas
from adapters.postgres.audit_trail import AuditTrail
from adapters.postgres.brand_rules import BrandBook
from adapters.postgres.budgets import ContactBudgets
from adapters.postgres.business_rules import BusinessRuleBook
from adapters.postgres.changes import ChangeFeed
from adapters.postgres.channel_prices import ChannelPrices
from adapters.postgres.compliance import Compliance
from adapters.postgres.consent import ConsentStore
from adapters.postgres.contacts import ContactLedger
from adapters.postgres.content_sources import ContentSources
from adapters.postgres.contests import Contests
from adapters.postgres.dead_letters import DeadLetters
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.digest_queue import Digests as DigestQueue
from adapters.postgres.engine import Database
from adapters.postgres.erasures import Erasures
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from adapters.postgres.exports import Exports
from adapters.postgres.follow_up_queue import FollowUps
from adapters.postgres.hook_deliveries import HookDeliveries
from adapters.postgres.hooks import Hooks
from adapters.postgres.idempotency import IdempotencyRecords
from adapters.postgres.jobs import Jobs
from adapters.postgres.learned_defaults import LearnedDefaults
from adapters.postgres.merges import Merges
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.model_outcomes import ModelPerformance
from adapters.postgres.objections import Objections
from adapters.postgres.opt_out_signals import OptOutSignals
from adapters.postgres.pauses import Pauses
from adapters.postgres.performances import Performances
from adapters.postgres.plans import Plans
from adapters.postgres.preference_advice import PreferenceAdvice
from adapters.postgres.preference_policies import PreferencePolicies
from adapters.postgres.preference_sync import PreferenceSync
from adapters.postgres.preference_templates import PreferenceTemplates
from adapters.postgres.preferences import Preferences
from adapters.postgres.profiles import Profiles
from adapters.postgres.pulse import PostgresPulse
from adapters.postgres.recipient_facts import RecipientFacts
from adapters.postgres.rectifications import Rectifications
from adapters.postgres.retention import Retention
from adapters.postgres.sent_decisions import SentDecisions
from adapters.postgres.service_levels import ServiceLevels
from adapters.postgres.shadow_outcomes import ShadowPerformance
from adapters.postgres.shadow_scores import ShadowScores
from adapters.postgres.suppressed_addresses import SuppressedAddresses
from adapters.postgres.suppressions import Suppressions
from adapters.postgres.template_applications import TemplateApplications
from adapters.postgres.template_outcomes import TemplateStatistics
from adapters.postgres.tenants import Tenants
from adapters.postgres.token_trail import TokenTrail
from adapters.postgres.variant_beliefs import VariantBeliefs
from adapters.postgres.variant_proposals import VariantProposals
from adapters.postgres.volume_targets import TargetBook
from adapters.redis.client import connect
from adapters.redis.rate_limits import RateLimits
from adapters.retention import periods_of
from adapters.secrets import SecretBox
from adapters.segment_rows import SegmentRows
from adapters.settings import Settings
from adapters.unsubscribe_links import UnsubscribeLinks
from adapters.variant_writer import VariantWriter
from serving.admission import Admission
from serving.breakers import Breaker, consent_store, online_features, variant_writer
from serving.change_streams import ChangeStreams
from serving.content_texts import ContentTexts
from serving.digests import Digests
from serving.fitted import FittedModels
from serving.handovers import Handovers
from serving.local_hooks import LocalHooks
from serving.models import SHADOW, EngagementModels
from serving.parts import Parts, Templates
from serving.planner import Planner
from serving.probes import Probe
from serving.pulse import EVERY_SECONDS, Pulse
from serving.remembered import Remembered
from serving.score_jobs import ScoreJobs
from serving.shadow import Shadow
from serving.spool_drain import SpoolDrain
from serving.steady import SteadyDecider
from serving.variant_beliefs import ServingBeliefs
from serving.volume_prices import ServingPrices


@dataclass(frozen=True)
class _Deciding:
    """What decides, with what it stands on and what it leaves for later."""

    decisions: DecisionLog
    links: UnsubscribeLinks
    tokens: HandoverTokens
    store: Breaker
    features: Breaker
    spool: DecisionSpool
    drain: SpoolDrain
    beliefs: ServingBeliefs
    prices: ServingPrices
    hooks: LocalHooks
    sources: ContentSources
    texts: ContentTexts
    decider: SteadyDecider

    @classmethod
    def of(
        cls,
        settings: Settings,
        database: Database,
        box: SecretBox,
        models: EngagementModels,
        fitted: FittedModels,
        shadow: Shadow,
    ) -> "_Deciding":
        decisions, links, tokens = (
            DecisionLog(database),
            UnsubscribeLinks(box, settings.public_url),
            HandoverTokens(box),
        )
        store, features = consent_store(), online_features()
        spool, tenants = DecisionSpool.of(settings, box), Tenants(database, box)
        beliefs, hooks = ServingBeliefs(VariantBeliefs(database), tenants.names), LocalHooks.installed()
        prices = ServingPrices(ChannelPrices(database), tenants.names)
        sources = ContentSources(database, box)
        texts = ContentTexts.of(settings, sources)
        decider = SteadyDecider(
            decisions,
            lambda: models.current,
            settings,
            links,
            tokens=tokens,
            features=features,
            beliefs=beliefs,
            fitted=lambda: fitted.current,
            spool=spool,
            store=store,
            hooks=hooks,
            prices=prices,
            shadow=shadow,
            worded=texts.said,
        )
        drain = SpoolDrain(spool, decisions, tenants)
        return cls(
            decisions, links, tokens, store, features, spool, drain, beliefs, prices, hooks, sources, texts, decider
        )

    def start(self) -> None:
        """Begin to follow what was learnt and what volume costs."""
        self.beliefs.start()
        self.prices.start()

    def stop(self) -> None:
        """End what ``start`` began."""
        self.prices.stop()
        self.beliefs.stop()

    def close(self) -> None:
        """Let go of what is open."""
        self.hooks.close()
        self.texts.close()
        self.spool.close()

    @property
    def probe(self) -> Probe:
        """Not ready before what was decided without PostgreSQL is in it."""
        return Probe("spool", self.drain.check, is_required=True)

    def parts(self, settings: Settings, database: Database) -> dict[str, Any]:
        """Return the parts by their names in ``Parts``."""
        facts = RecipientFacts(SegmentRows(Lake(settings.lake_dir)))
        return {
            "decisions": self.decisions,
            "unsubscribe_links": self.links,
            "decider": self.decider,
            "handovers": Handovers(self.decider, FollowUps(database), self.tokens),
            "digests": Digests(self.decider, DigestQueue(database), FollowUps(database), self.tokens),
            "plans": Plans(database, Jobs(database)),
            "planner": Planner(self.decider, facts, Clock()),
            "spool_drain": self.drain,
            "local_hooks": self.hooks,
            "content_sources": self.sources,
            "content_texts": self.texts,
            "admission": Admission(settings.service_threads),
            "remembered": Remembered(self.store, seconds=settings.decision_postgres_ms / 1000),
        }


@contextmanager
def open_parts(settings: Settings) -> Iterator[Parts]:
    """Build the parts, and close what they hold at the end.

    Raises:
        NotRunning: neither the settings nor the data folder says where the servers are.
    """
    endpoints = resolve(settings)
    box = SecretBox.of(settings)
    database = _database(settings, endpoints)
    models, fitted = EngagementModels.of(settings, endpoints, box), FittedModels.of(settings, endpoints, box)
    redis = connect(endpoints.redis_url, timeout_ms=settings.redis_timeout_ms)
    shadows = EngagementModels.of(settings, endpoints, box, SHADOW)
    shadow = Shadow(shadows, ShadowScores(database), poll_seconds=settings.model_poll_seconds)
    deciding = _Deciding.of(settings, database, box, models, fitted, shadow)
    versions = ModelVersions(endpoints.mlflow_url)
    running = _running(models, fitted, shadow, deciding, *_pulses(settings, endpoints, deciding))
    try:
        with running:
            yield Parts(
                settings=settings,
                clock=Clock(),
                arrival_key=box.key("audit:arrival"),
                cursor_key=box.key("page:cursor"),
                **deciding.parts(settings, database),
                model_versions=versions,
                score_jobs=ScoreJobs(deciding.decider, lambda: models.current, Clock()),
                change_streams=_streams(database, settings),
                rate_limits=RateLimits.of(settings, redis, is_away=lambda: deciding.features.is_lost),
                probes=(*_probes(settings, database, redis.ping, models), deciding.probe),
                **_kept_in_postgres(settings, database, box),
                **_rights(settings, database, box),
                **_operations(database, box),
            )
    finally:
        shadows.stop()
        versions.close()
        redis.close()
        deciding.close()
        database.close()


class _Runs(Protocol):
    """Something with a thread of its own."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


@contextmanager
def _running(*threads: _Runs) -> Iterator[None]:
    """Let threads work inside the block; the last is ended first."""
    with ExitStack() as stack:
        for each in threads:
            each.start()
            stack.callback(each.stop)
        yield


def _pulses(settings: Settings, endpoints: Endpoints, deciding: _Deciding) -> tuple[Pulse, ...]:
    """Return who watches the servers that decisions ask."""
    postgres = PostgresPulse(endpoints.databases.app, seconds=settings.pulse_ms / 1000)
    valkey = connect(endpoints.redis_url, timeout_ms=settings.pulse_ms)
    return (
        Pulse(deciding.store, postgres, postgres.close, every_seconds=EVERY_SECONDS),
        Pulse(deciding.features, valkey.ping, valkey.close, every_seconds=EVERY_SECONDS),
    )


def _kept_in_postgres(settings: Settings, database: Database, box: SecretBox) -> dict[str, Any]:
    """Return the parts that are nothing but rows of PostgreSQL, by their names in ``Parts``."""
    rules = legal_rule_files.load(settings.legal_rules)
    return {
        "tenants": Tenants(database, box),
        "api_keys": ApiKeys(database, box),
        "bearer_tokens": BearerTokens.of(settings),
        "token_trail": TokenTrail(database),
        "event_log": EventLog(database, EventEffects(rules), retention=settings.event_retention),
        "dead_letters": DeadLetters(database),
        "profiles": Profiles(database),
        "consents": ConsentStore(database),
        "contact_budgets": ContactBudgets(database),
        "brand_rules": BrandBook(database),
        "volume_targets": TargetBook(database),
        "variant_proposals": VariantProposals(database),
        "variant_writer": VariantWriter.of(settings),
        "writer_breaker": variant_writer(),
        "business_rules": BusinessRuleBook(database),
        "contact_ledger": ContactLedger(database),
        "preferences": Preferences(database),
        "preference_advice": PreferenceAdvice(database),
        "preference_sync": PreferenceSync(database),
        "jobs": Jobs(database),
        "model_performance": ModelPerformance(database),
        "shadow_performance": ShadowPerformance(database),
        "preference_policies": PreferencePolicies(database),
        "suppressed_addresses": SuppressedAddresses(database),
        "audit_trail": AuditTrail(database),
        "templates": _templates(settings, database),
        "compliance": Compliance(database),
        "performances": Performances(database),
        "sent_decisions": SentDecisions(database),
        "opt_out_signals": OptOutSignals(database, rules),
        "idempotency": IdempotencyRecords(database, box),
    }


def _templates(settings: Settings, database: Database) -> Templates:
    facts, clock = RecipientFacts(SegmentRows(Lake(settings.lake_dir))), Clock()
    applications = TemplateApplications(database, facts, clock)
    return Templates(
        published=PreferenceTemplates(database),
        applications=applications,
        statistics=TemplateStatistics(database),
        defaults=LearnedDefaults(database, facts, applications, clock),
        types=MessageTypes(database),
    )


def _rights(settings: Settings, database: Database, box: SecretBox) -> dict[str, Any]:
    """Return the parts for what a person may demand."""
    return {
        "erasures": Erasures(database),
        "exports": Exports(database, box),
        "contests": Contests(database),
        "objections": Objections(database),
        "rectifications": Rectifications(database),
        "merges": Merges(database),
        "retention": Retention(database, periods_of(settings)),
    }


def _operations(database: Database, box: SecretBox) -> dict[str, Any]:
    """Return the parts with which a tenant is run."""
    return {
        "pauses": Pauses(database),
        "suppressions": Suppressions(database),
        "service_levels": ServiceLevels(database),
        "attribute_schemas": AttributeSchemas(database),
        "hooks": Hooks(database, box),
        "hook_deliveries": HookDeliveries(database, box),
    }


def _database(settings: Settings, endpoints: Endpoints) -> Database:
    return Database(
        endpoints.databases.app,
        keyring=Keyring.of(settings),
        statement_timeout_ms=settings.postgres_timeout_ms,
        pool_size=settings.service_threads,
    )


def _streams(database: Database, settings: Settings) -> ChangeStreams:
    feed = ChangeFeed(database)
    return ChangeStreams(feed, most=settings.change_streams, lifetime_seconds=settings.change_stream_seconds)


def _probes(
    settings: Settings, database: Database, ping_redis: Callable[[], object], models: EngagementModels
) -> tuple[Probe, ...]:
    return (
        Probe("postgres", database.ping, is_required=True),
        # Without these two rules decide, and every answer says so.
        Probe("redis", ping_redis),
        Probe("model", models.check),
        # Without this one no new version of the model is heard of; what serves goes on serving.
        Probe("mlflow", models.check_registry),
        # Without these two features grow old between two nights.
        Probe("relay", partial(_beats, settings, "relay")),
        Probe("consumer", partial(_beats, settings, "consumer")),
        # Without this one audit rows wait to be linked.
        Probe("sealer", partial(_beats, settings, "sealer")),
        # Without this one nobody is told of a change; it waits, committed.
        Probe("announcer", partial(_beats, settings, "announcer")),
        # Without this one erasures wait; who asked for one is refused messages all the same.
        Probe("eraser", partial(_beats, settings, "eraser")),
        # Without this one no hook is told; what is to be told waits, committed.
        Probe("deliverer", partial(_beats, settings, "deliverer")),
        # Without this one nobody is told that a message is due; who asks may hand it over all the same.
        Probe("scheduler", partial(_beats, settings, "scheduler")),
        # Without this one nothing new is learnt of variants; what was learnt goes on serving.
        Probe("learner", partial(_beats, settings, "learner")),
    )


def _beats(settings: Settings, name: str) -> None:
    heartbeat.require(settings.data_dir, name, real_now())

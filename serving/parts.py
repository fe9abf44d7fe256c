"""The parts of the service, built once by ``serving.wiring`` and handed to every handler.

Nothing else in ``serving`` constructs a store; a test builds the same parts from fakes or from its own servers.
"""

from dataclasses import dataclass, field

from adapters.bearer_tokens import BearerTokens
from adapters.clock import Clock
from adapters.mlflow_versions import ModelVersions
from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.attribute_schemas import AttributeSchemas
from adapters.postgres.audit_trail import AuditTrail
from adapters.postgres.brand_rules import BrandBook
from adapters.postgres.budgets import ContactBudgets
from adapters.postgres.business_rules import BusinessRuleBook
from adapters.postgres.compliance import Compliance
from adapters.postgres.consent import ConsentStore
from adapters.postgres.contacts import ContactLedger
from adapters.postgres.content_sources import ContentSources
from adapters.postgres.contests import Contests
from adapters.postgres.dead_letters import DeadLetters
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.erasures import Erasures
from adapters.postgres.events import EventLog
from adapters.postgres.exports import Exports
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
from adapters.postgres.rectifications import Rectifications
from adapters.postgres.retention import Retention
from adapters.postgres.sent_decisions import SentDecisions
from adapters.postgres.service_levels import ServiceLevels
from adapters.postgres.shadow_outcomes import ShadowPerformance
from adapters.postgres.suppressed_addresses import SuppressedAddresses
from adapters.postgres.suppressions import Suppressions
from adapters.postgres.template_applications import TemplateApplications
from adapters.postgres.template_outcomes import TemplateStatistics
from adapters.postgres.tenants import Tenants
from adapters.postgres.token_trail import TokenTrail
from adapters.postgres.variant_proposals import VariantProposals
from adapters.postgres.volume_targets import TargetBook
from adapters.redis.rate_limits import RateLimits
from adapters.settings import Settings
from adapters.unsubscribe_links import UnsubscribeLinks
from adapters.variant_writer import VariantWriter
from serving.admission import Admission
from serving.at_once import AtOnce
from serving.breakers import Breaker
from serving.change_streams import ChangeStreams
from serving.content_texts import ContentTexts
from serving.decide import Decider
from serving.digests import Digests
from serving.handovers import Handovers
from serving.local_hooks import LocalHooks
from serving.planner import Planner
from serving.probes import Probe
from serving.remembered import Remembered
from serving.score_jobs import ScoreJobs
from serving.spool_drain import SpoolDrain


@dataclass(frozen=True, kw_only=True)
class Templates:
    """What has to do with preference templates."""

    published: PreferenceTemplates
    applications: TemplateApplications
    statistics: TemplateStatistics
    defaults: LearnedDefaults
    types: MessageTypes


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Everything a request may need."""

    settings: Settings
    clock: Clock
    tenants: Tenants
    api_keys: ApiKeys
    bearer_tokens: BearerTokens
    token_trail: TokenTrail
    event_log: EventLog
    dead_letters: DeadLetters
    profiles: Profiles
    consents: ConsentStore
    contact_budgets: ContactBudgets
    brand_rules: BrandBook
    content_sources: ContentSources
    content_texts: ContentTexts
    variant_proposals: VariantProposals
    variant_writer: VariantWriter | None
    writer_breaker: Breaker
    writer_places: AtOnce = field(default_factory=AtOnce)
    business_rules: BusinessRuleBook
    volume_targets: TargetBook
    contact_ledger: ContactLedger
    compliance: Compliance
    opt_out_signals: OptOutSignals
    preference_policies: PreferencePolicies
    templates: Templates
    jobs: Jobs
    plans: Plans
    performances: Performances
    planner: Planner
    model_performance: ModelPerformance
    shadow_performance: ShadowPerformance
    model_versions: ModelVersions
    score_jobs: ScoreJobs
    preferences: Preferences
    preference_advice: PreferenceAdvice
    preference_sync: PreferenceSync
    pauses: Pauses
    suppressions: Suppressions
    hooks: Hooks
    service_levels: ServiceLevels
    attribute_schemas: AttributeSchemas
    hook_deliveries: HookDeliveries
    suppressed_addresses: SuppressedAddresses
    unsubscribe_links: UnsubscribeLinks
    decisions: DecisionLog
    audit_trail: AuditTrail
    erasures: Erasures
    exports: Exports
    contests: Contests
    objections: Objections
    rectifications: Rectifications
    merges: Merges
    retention: Retention
    arrival_key: bytes
    cursor_key: bytes
    decider: Decider
    handovers: Handovers
    digests: Digests
    sent_decisions: SentDecisions
    spool_drain: SpoolDrain
    local_hooks: LocalHooks
    remembered: Remembered
    admission: Admission
    change_streams: ChangeStreams
    rate_limits: RateLimits
    idempotency: IdempotencyRecords
    probes: tuple[Probe, ...]

"""Consent records to take away: in the shape of ISO/IEC TS 27560, and as a report on every purpose."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from adapters import legal_rule_files
from domain.consent_export import ConsentExports, export
from domain.consent_records import ConsentRecord
from domain.consent_report import ConsentReport, report
from domain.gates import Allowances
from domain.legal.duties import Duty
from domain.values import Frozen, Moment
from serving.http.auth import Caller, PartsOf, permission
from serving.http.recipients import PREFIX, RecipientId
from serving.http.routes import Route

router = APIRouter(route_class=Route, prefix=PREFIX, tags=["consent records"])
Reader = Annotated[Caller, permission("consents:read")]


@router.get("/consents/export", summary="Export a recipient's consent records")
def get_consent_export(caller: Reader, recipient_id: RecipientId, parts: PartsOf) -> ConsentExports:
    """Return every consent with its history and proof in the shape of ISO/IEC TS 27560:2023.

    The schema is published as `docs/contracts/consent_record.schema.json`.
    """
    _, records = _disclosed(parts, caller, recipient_id)
    now, tenant = parts.clock.now(caller.tenant), caller.tenant
    return export(records, recipient_id=recipient_id, tenant=tenant.tenant, tenant_name=tenant.display_name, now=now)


@router.get("/consent-report", summary="Report what a recipient agreed to")
def get_consent_report(caller: Reader, recipient_id: RecipientId, parts: PartsOf) -> ConsentReport:
    """Return for every purpose on which channels data may be used for it now, why not on others, and the proof."""
    allowed, records = _disclosed(parts, caller, recipient_id)
    return report(allowed.consents, records, now=parts.clock.now(caller.tenant))


class ComplianceAnswer(Frozen):
    """Duties towards one recipient."""

    judged_at: Moment
    rules: str = Field(description="Version of the rule set in force.")
    duties: tuple[Duty, ...]


@router.get("/compliance", summary="Report whether each duty towards a recipient is met")
def get_compliance(
    caller: Annotated[Caller, permission("privacy:read")], recipient_id: RecipientId, parts: PartsOf
) -> ComplianceAnswer:
    """Return every rule that reaches the recipient where they may be, whether it is met, its source and the evidence.

    Judged by what is stored now: consents, events, and every recorded decision about the recipient, read again.
    """
    rules, now = legal_rule_files.load(parts.settings.legal_rules), parts.clock.now(caller.tenant)
    found = parts.compliance.judge(caller.tenant, rules, now=now, actor=caller.actor, recipient_id=recipient_id)
    return ComplianceAnswer(judged_at=now, rules=rules.version, duties=found.duties)


def _disclosed(parts: PartsOf, caller: Caller, recipient_id: str) -> tuple[Allowances, list[ConsentRecord]]:
    allowed, rows = parts.consents.disclose(caller.tenant, recipient_id, actor=caller.actor)
    return allowed, [ConsentRecord.model_validate(row) for row in rows]

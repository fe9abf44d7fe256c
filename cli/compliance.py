"""``kairos compliance``: whether each duty is met, and what an impact assessment needs, counted in the stores.

Exit codes: 0 every duty that can be judged is met, 1 one is not, 2 wrong use, 6 the servers do not run.
"""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.exit_codes import ExitCode
from cli.installation import opened, tenant_named

if TYPE_CHECKING:
    from adapters.postgres.compliance import Found
    from adapters.settings import Settings
    from cli.installation import Installation
    from domain.tenants import Tenant

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Report on duties and impact, from the stores.")
ACTOR = "operator"


@app.callback()
def compliance() -> None:
    """Report on duties and impact, from the stores."""


@app.command()
def report(
    *,
    tenant: Annotated[str, typer.Option(help="Whose duties.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Judge every rule in force for a tenant and print the inputs of an impact assessment (GDPR Art. 35)."""
    from adapters.settings import load_settings

    settings = load_settings()
    with opened() as here:
        document = _document(here, tenant_named(here, tenant), settings)
    print(json.dumps(document, default=str) if as_json else _text(document))
    if any(each["is_met"] is False for each in document["duties"]):
        raise typer.Exit(ExitCode.FAILED)


def _document(here: "Installation", tenant: "Tenant", settings: "Settings") -> dict[str, Any]:
    from adapters import legal_rule_files
    from adapters.postgres.compliance import Compliance, impact

    rules, now = legal_rule_files.load(settings.legal_rules), here.clock.now(tenant)
    found = Compliance(here.database).judge(tenant, rules, now=now, actor=ACTOR)
    with here.database.tenant(tenant.tenant) as connection:
        counted = impact(connection, now=now)
    return {
        "tenant": tenant.tenant,
        "at": now.isoformat(),
        "rules": rules.version,
        "met": sum(each.is_met is True for each in found.duties),
        "not_met": sum(each.is_met is False for each in found.duties),
        "not_judged": sum(each.is_met is None for each in found.duties),
        "duties": [each.model_dump(mode="json") for each in found.duties],
        "impact_assessment": _impact(found, counted, settings),
    }


def _impact(found: "Found", counted: dict[str, Any], settings: "Settings") -> dict[str, Any]:
    from domain.purposes import FACTS

    by_purpose: dict[str, dict[str, int]] = {}
    for row in counted["consents"]:
        by_purpose.setdefault(row["purpose"], {})[row["status"]] = row["people"]
    return {
        "purposes": [
            each.model_dump(mode="json") | {"people_by_status": by_purpose.get(each.purpose, {})}
            for each in FACTS.values()
        ],
        "people": counted["people"],
        "automated_decisions": {
            "decisions": found.decided.decisions,
            "by_outcome": dict(sorted(found.decided.outcomes.items())),
            "scored_by_a_model": found.decided.scored,
            "in_the_hold_out": found.decided.holdout,
        },
        "retention": {
            "events_days": settings.event_retention_days,
            "changes_hours": settings.change_retention_hours,
            "decisions": "kept until the person is erased",
            "consents": "kept until the person is erased",
        },
        "safeguards": {
            "profiles_sealed": counted["people"]["profiles"] - counted["people"]["profiles_not_sealed"],
            "profiles_not_sealed": counted["people"]["profiles_not_sealed"],
            "suppressed_addresses": counted["people"]["suppressed_addresses"],
            "erasures_done": counted["people"]["erasures"] - counted["people"]["erasures_open"],
            "audit_rows": counted["people"]["audit_rows"],
        },
    }


def _text(document: dict[str, Any]) -> str:
    words = {True: "met", False: "NOT MET", None: "not judged"}
    counted = f"{document['met']} duties met, {document['not_met']} not met, {document['not_judged']} not judged"
    lines = [f"{document['tenant']}: {counted}, by the rules {document['rules']}"]
    for each in document["duties"]:
        counts = ", ".join(f"{name} {value}" for name, value in each["evidence"].items())
        lines.append(f"  {words[each['is_met']]}: {each['rule']} [{each['source']}] {counts}")
    lines.append("for an impact assessment (all of it with --json):")
    assessed = document["impact_assessment"]
    lines += [f"  {name}: {json.dumps(assessed[name])}" for name in ("people", "automated_decisions", "retention")]
    lines += [f"  {each['purpose']}: {json.dumps(each['people_by_status'])}" for each in assessed["purposes"]]
    return "\n".join(lines)

"""``kairos rules``: what law and mailbox rules there are, and what a change of them would have altered.

Exit codes: 0 done, 2 wrong use, 6 the servers do not run.
"""

import json
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.exit_codes import ExitCode, Refused
from cli.installation import opened, tenants_named
from cli.moments import moment_of

if TYPE_CHECKING:
    from cli.installation import Installation
    from domain.legal.replay import Altered
    from domain.legal.rules import RuleSet
    from domain.tenants import Tenant

app = typer.Typer(no_args_is_help=True, add_completion=False, help="List rules, and see what a change would alter.")
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object per line.")]
RuleFile = Annotated[str, typer.Argument(help="A published version such as 2026-11, or a YAML file.")]
ACTOR = "operator"
_SHOWN = 20


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Argument(help="A version or a YAML file.")] = None, *, as_json: AsJson = False
) -> None:
    """List the published versions, or every rule of one with its duty and source."""
    from adapters import legal_rule_files

    if name is None:
        for version in legal_rule_files.versions():
            print(json.dumps({"version": version}) if as_json else version)
        return
    for rule in _loaded(name).rules:
        if as_json:
            print(rule.model_dump_json(exclude_defaults=True))
        else:
            print(f"{rule.id} ({rule.jurisdiction}): {rule.duty} [{rule.source}]")


@app.command()
def diff(
    before: RuleFile,
    after: RuleFile,
    *,
    since: Annotated[str, typer.Option(help="Decisions from then on: a date (UTC) or a moment with its offset.")],
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's decisions.")] = None,
    as_json: AsJson = False,
) -> None:
    """Replay the law's gate over recorded decisions under both rule sets; nothing is decided again or changed."""
    old, new, moment = _loaded(before), _loaded(after), moment_of(since, "--since")
    with opened() as here:
        for each in tenants_named(here, tenant):
            document = _compared(here, each, old, new, moment)
            print(json.dumps(document) if as_json else _text(document))


def _compared(
    here: "Installation", tenant: "Tenant", old: "RuleSet", new: "RuleSet", since: datetime
) -> dict[str, Any]:
    from adapters.postgres.decision_history import DecisionHistory
    from domain.legal import replay

    counted: Counter[str] = Counter()
    found: list[Altered] = []
    for record in DecisionHistory(here.database).records(tenant, actor=ACTOR, since=since):
        known = replay.past(record)
        counted["compared" if known is not None else "without_facts"] += 1
        change = replay.altered(known, old, new) if known is not None else None
        if change is not None:
            found.append(change)
    return {
        "tenant": tenant.tenant,
        "before": old.version,
        "after": new.version,
        "since": since.isoformat(),
        "compared": counted["compared"],
        "without_facts": counted["without_facts"],
        "altered": len(found),
        "by_effect": dict(sorted(Counter(each.effect.value for each in found).items())),
        "by_rule": _by_rule(found),
        "decisions": [each.model_dump(mode="json") for each in found],
    }


def _by_rule(found: "list[Altered]") -> list[dict[str, Any]]:
    counts = Counter(
        (rule, each.channel.value, each.direction.value)
        for change in found
        for each in change.differences
        for rule in each.rules or ("*",)
    )
    names = ("rule", "channel", "direction")
    return [dict(zip(names, key, strict=True)) | {"decisions": count} for key, count in sorted(counts.items())]


def _text(document: dict[str, Any]) -> str:
    of = f"{document['altered']} of {document['compared']} decisions since {document['since']}"
    lines = [f"{document['tenant']}: {of} differ between {document['before']} and {document['after']}"]
    if document["without_facts"]:
        lines.append(f"  {document['without_facts']} older ones hold no facts to compare")
    lines += [f"  {effect}: {count}" for effect, count in document["by_effect"].items()]
    lines += [
        f"  {each['rule']} {each['channel']} {each['direction']}: {each['decisions']}" for each in document["by_rule"]
    ]
    lines += [f"    {each['decision_id']} {each['effect']}" for each in document["decisions"][:_SHOWN]]
    if len(document["decisions"]) > _SHOWN:
        lines.append(f"    and {len(document['decisions']) - _SHOWN} more; --json names all")
    return "\n".join(lines)


def _loaded(name: str) -> "RuleSet":
    from adapters import legal_rule_files

    try:
        return legal_rule_files.load(name)
    except legal_rule_files.BadRules as error:
        raise Refused(str(error), ExitCode.USAGE) from None

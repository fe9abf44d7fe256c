"""Recorded decisions of one tenant, read, made again, and asked what if; behind ``kairos replay``."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from cli.replayed_variants import OtherVariants, Variants
from domain import attribution, decision_replay, what_if
from domain.decision_replay import NotReplayable, Past
from domain.events import EventType
from domain.legal.rules import RuleSet
from domain.message_types import MessageType
from domain.values import Channel, Outcome

if TYPE_CHECKING:
    from adapters.postgres.decision_outcomes import Happened
    from cli.installation import Installation
    from domain.tenants import Tenant
    from domain.what_if import Changes
    from models.off_policy.replayed import Replayed

ACTOR = "operator"
Record = Mapping[str, Any]
_AT_ONCE = 1_000


class Period:
    """Decisions of one tenant."""

    def __init__(self, here: "Installation", tenant: "Tenant") -> None:
        self._here = here
        self._tenant = tenant
        self._types: dict[tuple[str, int], MessageType] = {}
        self._rules: dict[str, RuleSet] = {}
        self._too_old = 0

    def one(self, decision_id: str) -> Iterator[Record]:
        """Yield one decision's record, or nothing where this tenant has no such decision; reading it is audited."""
        found = self._log.get(self._tenant, decision_id, actor=ACTOR)
        if found is not None:
            yield found

    def since(self, moment: datetime | None) -> Iterator[Record]:
        """Yield the records of a period; reading them is audited."""
        from adapters.postgres.decision_history import DecisionHistory

        yield from DecisionHistory(self._here.database).records(self._tenant, actor=ACTOR, since=moment)

    def replayed(self, records: Iterable[Record]) -> dict[str, Any]:
        """Return how many decisions came out as recorded, and which did not."""
        made, mismatches = 0, []
        for decision in self._past(records):
            made += 1
            found = decision_replay.differences(decision)
            if found:
                fields = [each.field for each in found]
                mismatches.append({"decision_id": decision.record["decision_id"], "fields": fields})
        return self._document(made) | {"mismatches": mismatches}

    def otherwise(self, records: Iterable[Record], changes: "Changes") -> dict[str, Any]:
        """Return what changes would have altered, and what that would have been worth."""
        from adapters.postgres.variant_beliefs import VariantBeliefs
        from models.off_policy.replayed import judge

        pairs: Counter[tuple[str, str]] = Counter()
        rows: list[Replayed] = []
        others = OtherVariants(VariantBeliefs(self._here.database), self._tenant, changes)
        past = self._past(records)
        while some := list(islice(past, _AT_ONCE)):
            rows += self._asked_otherwise(others.of(some), changes, pairs)
        worth = judge(rows).as_json() if rows else None
        changed = [
            {"from": was, "to": now, "decisions": count} for (was, now), count in pairs.most_common() if was != now
        ]
        told = {"left_out": others.left_out, "changed": changed, "worth": worth}
        return self._document(len(rows)) | told

    def _asked_otherwise(
        self, some: "Sequence[tuple[Past, Variants | None]]", changes: "Changes", pairs: Counter[tuple[str, str]]
    ) -> "Iterator[Replayed]":
        from adapters.postgres.decision_outcomes import DecisionOutcomes
        from models.off_policy.replayed import Replayed

        ids = [each.record["decision_id"] for each, _ in some]
        happened = DecisionOutcomes(self._here.database).of(self._tenant, ids)
        for decision, variants in some:
            record, would = decision.record, changes.of(decision, variants)
            draft = what_if.drawn(would)
            pairs[_told(record["outcome"], record["channel"]), _told(draft.outcome, draft.action.channel)] += 1
            if record["replaced"] is not None:
                # A rule put another variant in the place of what was drawn: no chance is known of that.
                continue
            action, probability = what_if.taken(record)
            yield Replayed(
                action=action,
                probability=probability,
                possible=what_if.distribution(decision.asked),
                otherwise=what_if.distribution(would),
                reward=_reward(decision, happened.get(record["decision_id"], [])),
                recipient=record["subject_key"],
                context={"message_type": record["request"]["message"]["type"]},
            )

    def _past(self, records: Iterable[Record]) -> Iterator[Past]:
        for record in records:
            try:
                yield decision_replay.past(record, self._type_of(record), self._rules_of(record))
            except NotReplayable:
                self._too_old += 1

    def _type_of(self, record: Record) -> MessageType:
        key = (record["request"]["message"]["type"], record["versions"]["message_type"])
        if key not in self._types:
            self._types[key] = self._log.definition(self._tenant, *key)
        return self._types[key]

    def _rules_of(self, record: Record) -> RuleSet:
        from adapters import legal_rule_files
        from adapters.settings import load_settings

        version = record["versions"]["rules"]
        if version not in self._rules:
            in_force = legal_rule_files.load(load_settings().legal_rules)
            try:
                self._rules[version] = in_force if in_force.version == version else legal_rule_files.load(version)
            except legal_rule_files.BadRules:
                raise NotReplayable(f"the legal rules {version} are not here any more") from None
        return self._rules[version]

    @cached_property
    def _log(self) -> Any:
        from adapters.postgres.decisions import DecisionLog

        return DecisionLog(self._here.database)

    def _document(self, made: int) -> dict[str, Any]:
        return {"tenant": self._tenant.tenant, "decisions": made, "not_replayable": self._too_old}


def _told(outcome: str, channel: str | None) -> str:
    return f"{Outcome(outcome).value} {Channel(channel).value}" if channel else Outcome(outcome).value


def _reward(decision: Past, happened: "Iterable[Happened]") -> float:
    """Return 1.0 when somebody converted within the attribution window, otherwise 0.0."""
    channel = decision.record["channel"]
    if channel is None:
        return 0.0
    start = decision.asked.situation.now
    until = start + attribution.window(decision.asked.situation.definition, Channel(channel))
    return float(any(each.type is EventType.CONVERTED and start <= each.at <= until for each in happened))

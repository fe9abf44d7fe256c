"""What an explanation needs besides the record: the facts made otherwise, and what the model's features added."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.special import expit, logit

from adapters import legal_rule_files
from adapters.postgres.decisions import DecisionLog
from domain import decision_replay, flips
from domain.decision_replay import NotReplayable
from domain.expected import ChannelTerms, Slopes
from domain.flips import Flip
from domain.legal.rules import RuleSet
from domain.tenants import Tenant
from models.engagement.score import Scorer
from models.fatigue.spec import PRIOR, Dynamics

OTHER_VERSION = "The version of the model that decided does not serve any more, so its features cannot be told."
NO_MODEL = "No model spoke to this decision."


@dataclass(frozen=True)
class Contributions:
    """What each feature added to the log-odds of a conversion, the largest first; ``rest`` is the bias."""

    by_feature: dict[str, float]
    rest: float


def flips_of(log: DecisionLog, tenant: Tenant, record: Mapping[str, Any], rules: str) -> tuple[Flip, ...]:
    """Return what would have changed a decision; nothing for a record that cannot be made again.

    Args:
        log: keeps the types in their versions.
        tenant: whose decision.
        record: of it.
        rules: the rule set in force, for a record that names its version.
    """
    definition = log.definition(tenant, record["request"]["message"]["type"], record["versions"]["message_type"])
    try:
        past = decision_replay.past(record, definition, _rules(record["versions"]["rules"], rules))
        return flips.flips(past, partial(tired, slopes=past.asked.expected.slopes or PRIOR))
    except NotReplayable:
        return ()


def _rules(version: str, in_force: str) -> RuleSet:
    loaded = legal_rule_files.load(in_force)
    try:
        return loaded if loaded.version == version else legal_rule_files.load(version)
    except legal_rule_files.BadRules:
        raise NotReplayable(f"the legal rules {version} are not here any more") from None


def tired(terms: ChannelTerms, weariness: float, slopes: Slopes | Dynamics = PRIOR) -> ChannelTerms:
    """Return what is expected of a channel at another weariness: the log-odds move along their recorded slope."""
    more = weariness - (terms.fatigue or 0.0)
    moved = {
        name: float(expit(logit(p) + slope * more))
        for name, p, slope in (
            ("p_open", terms.p_open, slopes.on_open),
            ("p_opt_out", terms.p_opt_out, slopes.on_opt_out),
        )
        if p is not None
    }
    return terms.model_copy(update={**moved, "fatigue": weariness})


def contributions_of(model: Any, record: Mapping[str, Any]) -> dict[str, Contributions] | str:
    """Return by channel what each feature added, or a sentence for why nobody can tell.

    Args:
        model: the model that serves, or None.
        record: of the decision.
    """
    if record["model"] is None or not record["features"]:
        return NO_MODEL
    if model is None or model.digest != record["model"]["digest"] or not isinstance(model.scorer, Scorer):
        return OTHER_VERSION
    names = model.scorer.features
    channels = list(record["features"])
    rows = [[record["features"][channel].get(name) for name in names] for channel in channels]
    added = model.scorer.contributions(np.array(rows, dtype=np.float32))
    return {channel: _ranked(names, added[row]) for row, channel in enumerate(channels)}


def _ranked(names: tuple[str, ...], added: Any) -> Contributions:
    ranked = sorted(zip(names, added[:-1].tolist(), strict=True), key=lambda pair: -abs(pair[1]))
    return Contributions({name: value for name, value in ranked if value}, float(added[-1]))

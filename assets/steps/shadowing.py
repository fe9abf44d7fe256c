"""A challenger as a shadow: what it said of live messages beside the champion, and for how long it is on trial."""

from datetime import datetime, timedelta

import numpy as np

from adapters.model_registry import CHAMPION, SHADOW, ModelRegistry, Version
from assets.steps.gate_evidence import BACK, Evidence
from models.calibration import FLOOR
from models.promotion import shadow
from models.promotion.finding import Claim, Finding, Verdict
from models.promotion.rows import Scored

WAITS = "shadow.decisions"
"""The one condition that only time can meet."""
SINCE = "shadow.since"
"""Tag: the moment, in real time, from which a version is on trial."""
LONGEST_TRIAL = timedelta(days=14)
"""After this a version that saw too few messages makes way for a newer one."""


def compared(evidence: Evidence, challenger: Version, rival: Version | None) -> tuple[Scored, Scored] | None:
    """Return what the challenger and the champion said of the same live messages; None without a champion to meet."""
    if rival is None or evidence.shadows is None:
        return None
    rows = evidence.shadows.of(challenger.model, challenger.version, rival.version, evidence.nows, back=BACK)
    unit = (rows["tenant"] + "\t" + rows["subject_key"]).to_numpy(dtype=np.str_)
    label = rows["converted"].to_numpy(dtype=np.float64)
    mine, theirs = (np.clip(rows[name].to_numpy(dtype=np.float64), FLOOR, 1 - FLOOR) for name in ("p", "champion_p"))
    return Scored.of(label, mine, unit), Scored.of(label, theirs, unit)


def findings(both: tuple[Scored, Scored] | None, *, least: int) -> tuple[Finding, ...]:
    """Return what the gate finds of a shadow's live messages."""
    if both is None:
        return shadow.nobody_to_compare("there is no other champion to be compared with")
    return shadow.findings(*both, least=least)


def only_waits(verdict: Verdict) -> bool:
    """Tell whether nothing but more live messages is missing."""
    return all(one.held or (one.claim is Claim.SHADOW and one.condition == WAITS) for one in verdict.findings)


def on_trial(registry: ModelRegistry, now: datetime) -> Version | None:
    """Return the version that is being compared and must not make way for a newer one yet, or None.

    Raises:
        RegistryUnavailable: MLflow does not answer.
    """
    version, champion = registry.version(SHADOW), registry.version(CHAMPION)
    since = version.tags.get(SINCE) if version is not None else None
    if version is None or champion is None or version.version == champion.version or since is None:
        return None
    return version if now - datetime.fromisoformat(since) < LONGEST_TRIAL else None

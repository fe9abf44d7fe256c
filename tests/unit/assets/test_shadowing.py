"""A challenger on trial: it stands where only live messages are missing, and makes way after two weeks."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from adapters.model_registry import Version
from assets.steps import shadowing
from assets.steps.gate_pictures import shadow_png
from models.promotion.finding import Claim, Finding, Verdict
from models.promotion.rows import Scored

NOW = datetime(2026, 3, 10, tzinfo=UTC)


def a_finding(condition, *, held, claim=Claim.SHADOW):
    return Finding(claim, condition, held, 0.0, 1.0, condition)


class Registry:
    """Two aliases."""

    def __init__(self, shadow, champion, since=NOW - timedelta(days=1)):
        tags = {shadowing.SINCE: since.isoformat()} if since else {}
        self.versions = {
            "shadow": Version("engagement", shadow, "r", tags),
            "champion": Version("engagement", champion, "r", {}) if champion else None,
        }

    def version(self, alias):
        return self.versions[alias]


@pytest.mark.parametrize(
    ("registry", "is_on"),
    [
        (Registry("8", "7"), True),
        (Registry("7", "7"), False),
        (Registry("8", None), False),
        (Registry("8", "7", since=None), False),
        (Registry("8", "7", since=NOW - shadowing.LONGEST_TRIAL), False),
    ],
)
def test_a_version_is_on_trial_beside_another_champion_for_two_weeks(registry, is_on):
    assert (shadowing.on_trial(registry, NOW) is not None) == is_on


@pytest.mark.parametrize(
    ("findings", "stands"),
    [
        ((), True),
        ((a_finding("shadow.decisions", held=False),), True),
        ((a_finding("shadow.log_loss", held=False),), False),
        ((a_finding("canary", held=False, claim=Claim.FIT_TO_SERVE), a_finding("shadow.decisions", held=False)), False),
    ],
)
def test_only_what_lacks_nothing_but_messages_stands_as_shadow(findings, stands):
    assert shadowing.only_waits(Verdict(findings)) == stands


def test_the_picture_of_both_losses_is_an_image():
    rows = Scored.of(np.array([0, 1] * 20), np.linspace(0.1, 0.9, 40), [str(n) for n in range(40)])
    assert shadow_png(rows, rows).startswith(b"\x89PNG")

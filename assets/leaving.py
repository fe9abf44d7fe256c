"""Leaving: how often one message makes somebody leave its channel, judged before decisions count with it."""

from collections.abc import Sequence

import dagster as dg

from assets import habits

OPT_OUT = "opt_out"
SENTENCE = (
    "How often one message makes its recipient leave the channel, rested and weary; the published base rates where too "
    "few left to tell."
)
NO_WORSE = "It tells later messages no worse than the published base rates, nor than the champion."

ASSETS: Sequence[dg.AssetsDefinition] = (habits.model(OPT_OUT, SENTENCE), habits.champion(OPT_OUT))
CHECKS: Sequence[dg.AssetChecksDefinition] = (habits.check(OPT_OUT, "is_no_worse", NO_WORSE),)

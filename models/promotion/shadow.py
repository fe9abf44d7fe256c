"""What a challenger said as a shadow, beside the champion on the same live messages: no worse, and calibrated."""

from models.promotion.finding import Claim, Finding, unknown
from models.promotion.groups import BAND
from models.promotion.rows import LEAST_POSITIVES, LEAST_ROWS, Scored, mean, observed_expected

CLAIM = Claim.SHADOW


def findings(shadow: Scored, champion: Scored, *, least: int = 0) -> tuple[Finding, ...]:
    """Hold a challenger to what it said of live messages that the champion sent.

    Args:
        shadow: its chances, with what came of the messages.
        champion: the champion's chances of the same messages, in the same order.
        least: messages it has to be compared on before it may take the champion's place; 0 asks for none.
    """
    if not shadow.can_be_judged:
        return (_too_few(shadow, least),)
    return (_waited(len(shadow), least), _beside(shadow, champion), _calibrated(shadow))


def nobody_to_compare(why: str) -> tuple[Finding, ...]:
    """Return that there is nothing to compare: no champion, or the challenger is the champion."""
    return (unknown(CLAIM, "shadow.decisions", why),)


def _too_few(shadow: Scored, least: int) -> Finding:
    told = (
        f"not enough live data: {len(shadow)} messages with {int(shadow.label.sum())} conversions,"
        f" {LEAST_ROWS} with {LEAST_POSITIVES} of either kind are needed"
    )
    if least > 0:
        sentence = f"{told}; {least} messages are asked for before a champion is replaced"
        return Finding(CLAIM, "shadow.decisions", held=False, number=len(shadow), limit=least, sentence=sentence)
    return unknown(CLAIM, "shadow.decisions", told)


def _waited(rows: int, least: int) -> Finding:
    sentence = f"compared as a shadow on {rows} live messages, at least {least} are asked for"
    return Finding(CLAIM, "shadow.decisions", rows >= least, rows, least, sentence)


def _beside(shadow: Scored, champion: Scored) -> Finding:
    rise = mean(shadow.loss - champion.loss, shadow.unit)
    sentence = (
        f"live log-loss {shadow.loss.mean():.4f}, the champion's {champion.loss.mean():.4f} on the same {len(shadow)}"
        f" messages; the interval of the rise begins at {rise.low:.4f} and must not lie above 0"
    )
    return Finding(CLAIM, "shadow.log_loss", rise.low <= 0, rise.low, 0.0, sentence)


def _calibrated(shadow: Scored) -> Finding:
    told = observed_expected(shadow)
    sentence = (
        f"live observed over expected {told.value:.2f}, interval {told.low:.2f} to {told.high:.2f}:"
        f" must touch {BAND[0]} to {BAND[1]}"
    )
    limit = BAND[0] if told.value < 1 else BAND[1]
    return Finding(CLAIM, "shadow.observed_expected", not told.misses(*BAND), told.value, limit, sentence)

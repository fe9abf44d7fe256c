"""Fits the chance that one message makes somebody leave, judged on later messages beside the published base rates.

A version without enough who left holds those rates and says so (``fitted`` is 0): the prior goes on.
"""

from functools import partial

import numpy as np
import pandas as pd

from assets.steps import pictures
from assets.steps.habit_fit import Files, Fit, held_to, sample
from assets.steps.habit_rows import Habits
from models.channel_value.spec import ANSWER_DAYS, FEWEST_LATER
from models.fatigue import train as weariness
from models.fatigue.spec import LOAD
from models.opt_out import evaluate, registered, score, train
from models.opt_out.spec import CHANNELS, FEWEST_LEFT, HALF_LIFE_DAYS
from models.opt_out.train import PRIOR, Hazard
from models.ridge import Floats
from models.send_time.dataset import Integers
from models.send_time.spec import JUDGED_DAYS

_LOADS = np.array([LOAD[name] for name in CHANNELS])


def opt_out(habits: Habits, champion: Files | None = None) -> Fit:
    """Fit the hazard of leaving; the published base rates answer where too few left to tell.

    Refused is what was fitted and tells later messages worse than those rates, or than the champion.
    """
    sends = _columns(habits.sends)
    later = sends[sends["end_days"] < JUDGED_DAYS]
    found, metrics, why = _judged(sends, later)
    files = registered.to_files(found)
    # Without later messages there is nothing to hold it to.
    rival, behind = held_to(None if later.empty else champion, files, partial(_told, later), "skill")
    rates = _rates(found)
    drawn = {name: 1000 * rate for name, rate in rates.items()}
    return Fit(
        files=files,
        features=registered.Scorer.features,
        scorer="models.opt_out.registered",
        params={"on_weariness": float(found.coefficients[-1])},
        metrics={
            "fitted": float(found.is_learnt),
            "messages": float(len(sends)),
            "left": float(sends["left"].sum()),
            **metrics,
            **{f"rate_{name}": rate for name, rate in rates.items()},
            **rival,
        },
        figures={"plots/leaving.png": pictures.lying_bars(drawn, title=_TITLE, unit="of 1,000 messages")},
        rows=sample(registered.Scorer.features),
        refusal=_worse(metrics.get("skill", 0.0)) or behind,
        limits=f"{why} {_LIMITS}".strip(),
    )


_TITLE = "People who leave by a message, rested"
_LIMITS = "Weariness is what decisions know of it: every message counts as ignored, and half of it goes in two days."


def _rates(hazard: Hazard) -> dict[str, float]:
    """Return by channel the chance that somebody rested leaves by one message."""
    chance = score.chance(np.arange(len(CHANNELS)), np.zeros(len(CHANNELS)), hazard)
    return dict(zip(CHANNELS, chance.tolist(), strict=True))


def _columns(sends: pd.DataFrame) -> pd.DataFrame:
    """Return the messages with the weariness of their recipient just before each."""
    channel = sends["channel"].to_numpy(np.int64)
    ignored = np.zeros(len(sends))
    who, day = sends["place"].to_numpy(np.int64), -sends["end_days"].to_numpy(np.float64)
    return sends.assign(weary=weariness.before_each(who, day, _LOADS[channel], ignored, HALF_LIFE_DAYS))


def _judged(sends: pd.DataFrame, later: pd.DataFrame) -> tuple[Hazard, dict[str, float], str]:
    """Return the hazard, what was measured, and why it is the prior, empty where it is not."""
    # Who left by an earlier message had done so by the cut.
    early = sends[sends["end_days"] >= JUDGED_DAYS + ANSWER_DAYS]
    known = int(early["left"].sum())
    if known < FEWEST_LEFT or len(later) < FEWEST_LATER:
        why = (
            f"The published base rates: not enough data: {known} left by messages before the last {JUDGED_DAYS:.0f} "
            f"days, {len(later)} messages since; at least {FEWEST_LEFT} and {FEWEST_LATER} are needed."
        )
        return PRIOR, {}, why
    skill = _skill(_fitted(early), later)
    return _fitted(sends), {"skill": skill, "messages_judged": float(len(later))}, ""


def _fitted(frame: pd.DataFrame) -> Hazard:
    return train.fit(*_arrays(frame))


def _told(later: pd.DataFrame, files: Files) -> float:
    return _skill(registered.from_files(files), later)


def _skill(hazard: Hazard, later: pd.DataFrame) -> float:
    return evaluate.skill(hazard, *_arrays(later))


def _arrays(frame: pd.DataFrame) -> tuple[Integers, Floats, Floats]:
    weary, left = (frame[name].to_numpy(np.float64) for name in ("weary", "left"))
    return frame["channel"].to_numpy(np.int64), weary, left


def _worse(skill: float) -> str:
    return f"skill over the published base rates {skill:.4f}: must not lie below 0" if skill < 0 else ""

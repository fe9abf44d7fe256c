"""Pictures of what the gate looked at: calibration, gain, importance, drift, and the groups."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from assets.steps import pictures
from assets.steps.gate_evidence import Gathered
from models.engagement import plots
from models.promotion import live
from models.promotion.groups import Group
from models.promotion.rows import Scored

MOST_BARS = 12


def draw(
    label: npt.NDArray[np.int8],
    scores: npt.NDArray[np.float64],
    gathered: Gathered,
    both: tuple[Scored, Scored] | None = None,
) -> dict[str, bytes]:
    """Return PNG images by the path under which they are kept.

    Args:
        label: what came of later rows, shape (n,).
        scores: what the challenger says of them, shape (n,).
        gathered: what else the gate looked at.
        both: what it said live as a shadow, and the champion beside it.
    """
    live = {} if both is None or not both[0].can_be_judged else {"gate/shadow.png": shadow_png(*both)}
    return live | {
        "gate/calibration.png": plots.calibration_png(label, scores),
        "gate/gain.png": plots.gain_png(label, scores),
        "gate/importance.png": largest(gathered.importance, title="Share of the gain", unit="share"),
        "gate/drift.png": largest(gathered.psi, title="PSI, training against later rows", unit="PSI"),
        "gate/groups.png": groups_png(gathered.groups),
    }


def shadow_png(shadow: Scored, champion: Scored) -> bytes:
    """Draw the live log-loss of both by fifths of what the shadow expected; lower is better."""
    fifths = np.array_split(np.argsort(shadow.p, kind="stable"), 5)
    bars = {
        f"{place + 1} {who}": float(rows.loss[fifth].mean())
        for place, fifth in enumerate(fifths)
        for who, rows in (("shadow", shadow), ("champion", champion))
    }
    return pictures.lying_bars(bars, title="Live log-loss by fifth", unit="nats per message")


def largest(values: Mapping[str, float], *, title: str, unit: str) -> bytes:
    """Draw the largest values, the largest first."""
    kept = dict(sorted(values.items(), key=lambda each: -each[1])[:MOST_BARS])
    return pictures.lying_bars(kept, title=title, unit=unit)


def groups_png(found: Sequence[Group]) -> bytes:
    """Draw observed over expected of every group with its interval; 1 is right."""
    from matplotlib.figure import Figure

    told = [(each.name, each.observed_expected) for each in found if each.observed_expected is not None][:40]
    figure = Figure(figsize=(6.0, 1.2 + 0.25 * max(len(told), 1)), dpi=80, layout="constrained")
    axes = figure.subplots()
    for place, (_, one) in enumerate(told):
        axes.plot([one.low, one.high], [place, place], color="#2f6f8f")
        axes.plot([one.value], [place], "o", color="#2f6f8f", markersize=4)
    axes.axvline(1.0, color="#888888", linewidth=1, linestyle="--")
    axes.set_yticks(range(len(told)), [name for name, _ in told], fontsize=7)
    axes.set_title("Observed over expected by group", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    return _png(figure)


def watch_png(watched: live.Watched) -> bytes:
    """Draw both cumulative sums against the threshold."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 3.2), dpi=80, layout="constrained")
    axes = figure.subplots()
    axes.plot(watched.cusum_low, color="#1f5fa8", label="fewer than predicted")
    axes.plot(watched.cusum_high, color="#b5651d", label="more than predicted")
    axes.axhline(live.THRESHOLD, color="#888888", linewidth=1, linestyle="--")
    axes.set(xlabel="decisions, the oldest first", ylabel="cumulative sum", title=f"{watched.n:,} live outcomes")
    axes.legend(loc="upper left", frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return _png(figure)


def _png(figure: object) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")  # type: ignore[attr-defined] # matplotlib is loaded with the first picture
    return buffer.getvalue()

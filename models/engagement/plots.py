"""Pictures of how good probabilities are, as PNG small enough for an event log.

Drawn without a display and without any state shared between threads.
"""

import io

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int8]

BINS = 10
"""Equal-mass groups of the calibration plot."""

_DPI = 100
_SIZE = (6.0, 4.5)
_Z95 = 1.96


def calibration_png(label: Labels, p: Floats) -> bytes:
    """Draw observed against predicted rate, in equal-mass groups with 95 % intervals, and where predictions lie."""
    figure, axes = _figure()
    groups = np.array_split(np.argsort(p, kind="stable"), min(BINS, len(p)))
    predicted = np.array([p[group].mean() for group in groups])
    observed = np.array([label[group].mean() for group in groups])
    bars = np.array([_wilson(label[group].mean(), len(group)) for group in groups]).T
    top = float(max(predicted.max(), bars[1].max())) * 1.05
    axes.plot([0, top], [0, top], color="#888888", linewidth=1, linestyle="--", label="perfect")
    error = [np.maximum(observed - bars[0], 0.0), np.maximum(bars[1] - observed, 0.0)]
    axes.errorbar(predicted, observed, yerr=error, fmt="o-", color="#1f5fa8", capsize=3, label="model")
    axes.plot(p, np.zeros_like(p), "|", color="#444444", alpha=0.15, markersize=8)
    axes.set(xlabel="predicted rate", ylabel="observed rate", title=f"Calibration, {len(p):,} rows")
    axes.legend(loc="upper left", frameon=False)
    return _png(figure)


def gain_png(label: Labels, p: Floats) -> bytes:
    """Draw the share of all conversions among the highest-scored share of rows."""
    figure, axes = _figure()
    hits = np.cumsum(label[np.argsort(-p, kind="stable")].astype(np.float64))
    share = np.arange(1, len(p) + 1) / len(p)
    axes.plot(share, hits / max(hits[-1], 1.0), color="#1f5fa8", label="by score")
    axes.plot([0, 1], [0, 1], color="#888888", linewidth=1, linestyle="--", label="at random")
    axes.set(xlabel="share of rows, best first", ylabel="share of conversions", title=f"Gain, {len(p):,} rows")
    axes.legend(loc="lower right", frameon=False)
    return _png(figure)


def _figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=_SIZE, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _wilson(rate: float, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a rate, which stays within [0, 1]."""
    centre = rate + _Z95**2 / (2 * n)
    spread = _Z95 * float(np.sqrt(rate * (1 - rate) / n + _Z95**2 / (4 * n * n)))
    scale = 1 + _Z95**2 / n
    return (centre - spread) / scale, (centre + spread) / scale


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()

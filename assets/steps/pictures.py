"""Small PNG charts for the asset pages: bars with a title, nothing that names a person."""

import io
from collections.abc import Mapping, Sequence

_INCHES = (6.0, 3.2)
_DPI = 80
_COLOUR = "#2f6f8f"


def bars(values: Mapping[str, float], *, title: str, unit: str) -> bytes:
    """Return a bar chart, one bar for each value in the order given."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=_INCHES, dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    drawn = axes.bar(list(values), list(values.values()), color=_COLOUR)
    axes.bar_label(drawn, fmt="{:,.0f}", fontsize=8)
    axes.set_title(title, fontsize=10)
    axes.set_ylabel(unit, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    if max(map(len, values), default=0) * len(values) > _CROWDED:
        axes.tick_params(axis="x", labelrotation=30)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


_CROWDED = 60
"""Letters of all labels together above which they are slanted."""


def lying_bars(values: Mapping[str, float], *, title: str, unit: str) -> bytes:
    """Return a chart of bars that lie, for long names, the first value on top."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_INCHES[0], 1.0 + 0.25 * max(len(values), 1)), dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    names = list(values)[::-1]
    drawn = axes.barh(names, [values[name] for name in names], color=_COLOUR)
    axes.bar_label(drawn, fmt="{:.3f}", fontsize=7)
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(unit, fontsize=9)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def beside(values: Sequence[float], usual: Sequence[float], *, title: str, unit: str) -> bytes:
    """Return bars, one for each value from 0 on, with a line of what is usual."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=_INCHES, dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    axes.bar(range(len(values)), values, color=_COLOUR)
    axes.plot(range(len(usual)), usual, color="#b5651d", label="ordinary")
    axes.set_title(title, fontsize=10)
    axes.set_ylabel(unit, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.legend(loc="upper left", frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()

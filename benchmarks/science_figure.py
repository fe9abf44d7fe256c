"""The science table as a picture: what was measured beside each target and each peer.

``python -m benchmarks.science_figure`` reads ``benchmarks/science_results.json``, which is kept by hand beside
``RESULTS.md``, and writes ``docs/images/science.png``. Each number is told as a share of its target, so that 1 is the
target and more is better; where less is better the share is turned around.
"""

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

RESULTS = Path(__file__).parent / "science_results.json"
PICTURE = Path(__file__).parents[1] / "docs/images/science.png"
_MET, _MISSED, _PEER = "#0b6e4f", "#c0392b", "#8a8f98"
_FURTHEST, _NEAREST = 8.0, 0.05
"""Shares beyond these are drawn at the edge."""


def share(value: float, target: float, *, more_is_better: bool) -> float:
    """Return a number as a share of its target, 1 at the target, within what is drawn."""
    made = value / target if more_is_better else target / max(value, 1e-300)
    return min(max(made, _NEAREST), _FURTHEST)


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Write the picture; each row has ``row``, ``what``, ``measured``, ``target``, ``more_is_better`` and ``peer``."""
    with mpl.rc_context({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(8, 0.26 * len(rows) + 0.9), layout="constrained")
        place = figure.subplots()
        for height, row in enumerate(reversed(rows)):
            ours = share(row["measured"], row["target"], more_is_better=row["more_is_better"])
            place.plot(ours, height, "o", color=_MET if ours >= 1 else _MISSED, zorder=3)
            if row.get("peer") is not None:
                theirs = share(row["peer"], row["target"], more_is_better=row["more_is_better"])
                place.plot(theirs, height, "|", color=_PEER, markersize=9, markeredgewidth=2)
                place.plot([theirs, ours], [height, height], color=_PEER, linewidth=0.5)
        place.axvline(1, color="black", linewidth=0.8)
        place.set_xscale("log")
        ticks = [0.1, 0.25, 0.5, 1, 2, 4, 8]
        place.set_xticks(ticks, [str(each) for each in ticks])
        place.minorticks_off()
        place.set_yticks(range(len(rows)), [f"{row['row']} {row['what']}" for row in reversed(rows)])
        place.set(xlabel="share of the target: dots are Kairos (red where it is missed), bars its best peer")
        figure.savefig(path, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    draw(json.loads(RESULTS.read_text()), PICTURE)

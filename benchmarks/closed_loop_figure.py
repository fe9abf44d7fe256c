"""The closed loop as a picture: what was sent, answered and lost each week, beside a fixed cap on the same people."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

_COLOURS = {"kairos": "#0b6e4f", "cap:3": "#8a8f98", "cap:7": "#c0392b", "as_many": "#2f6fb0"}
_NAMES = {
    "kairos": "Kairos",
    "cap:3": "fixed cap, 3 a week",
    "cap:7": "fixed cap, 7 a week",
    "as_many": "as many, by chance",
}


def draw(runs: Mapping[str, Any], trainings: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write the picture; ``runs`` are summaries by name, ``trainings`` what came of each, by week."""
    with mpl.rc_context({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(9, 2.6), layout="constrained")
        places = figure.subplots(1, 4)
        number = [week["week"] for week in next(iter(runs.values()))["weeks"]]
        for name, run in runs.items():
            weeks = run["weeks"]
            look = {"color": _COLOURS.get(name), "label": _NAMES.get(name, name), "linewidth": 1.5}
            places[0].plot(number, [week["sent"] for week in weeks], **look)
            places[1].plot(number, np.cumsum([week["opened"] for week in weeks]), **look)
            places[2].plot(number, [100 * week["active_share"] for week in weeks], **look)
            places[3].plot(number, np.cumsum([week["opted_out"] for week in weeks]), **look)
        titles = ("messages a week", "answers so far", "active people a day, %", "opt-outs so far")
        for place, title in zip(places, titles, strict=True):
            place.set(title=title, xlabel="week", ylim=(0, None), xticks=number[1::2])
            for each in trainings:
                if each["promoted"]:
                    place.axvline(each["week"] + 0.5, color="#0b6e4f", linewidth=0.5, linestyle=":")
        places[0].legend(frameon=False, fontsize=7)
        figure.savefig(path, dpi=110, metadata={"Software": None})

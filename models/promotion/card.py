"""A model card: what a version is for, what it was made from, how good it is, and where it must not be used.

After Mitchell et al. (2019); plain Markdown, written with the registration, so that no version is without one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Card:
    """What a card says; ``metrics`` with a ``_low`` and ``_high`` beside them are told with their interval."""

    name: str
    purpose: str
    limits: str
    target: str
    features: Sequence[str]
    data: Mapping[str, str]
    metrics: Mapping[str, float]
    importance: Mapping[str, float] = field(default_factory=dict)
    consent: str = "personalization; features made from opens only where open tracking is allowed"

    def markdown(self) -> str:
        """Return the card."""
        parts = [
            f"# {self.name}",
            "## Intended use",
            self.purpose,
            f"Predicts: {self.target}.",
            "## Limits",
            self.limits,
            "## Data",
            *(f"- {name}: `{value}`" for name, value in self.data.items()),
            "## Features",
            f"{len(self.features)}, under the purpose: {self.consent}.",
            ", ".join(f"`{name}`" for name in self.features),
            "## Quality on later rows",
            "| number | value | interval |",
            "|---|---|---|",
            *self._rows(),
        ]
        if self.importance:
            top = sorted(self.importance.items(), key=lambda each: -each[1])[:10]
            parts += ["## What it uses", *(f"- `{name}`: {share:.1%} of the gain" for name, share in top if share > 0)]
        return "\n".join(parts) + "\n"

    def _rows(self) -> list[str]:
        bounds = {name for name in self.metrics if name.endswith(("_low", "_high"))}
        return [
            f"| {name} | {value:.4f} | {self._interval(name)} |"
            for name, value in sorted(self.metrics.items())
            if name not in bounds
        ]

    def _interval(self, name: str) -> str:
        low, high = self.metrics.get(f"{name}_low"), self.metrics.get(f"{name}_high")
        return "" if low is None or high is None else f"{low:.4f} to {high:.4f}"

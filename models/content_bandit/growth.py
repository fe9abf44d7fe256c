"""A bandit that learns of new variants: what it knows stays as it is, what is new starts at the prior."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from models.content_bandit.bandit import ContentBandit
from models.content_bandit.items import Items
from models.content_bandit.layout import Layout, PriorSpread
from models.content_bandit.posterior import Posterior


def with_arms(
    bandit: ContentBandit, arms: Sequence[str], items: Items | None = None, *, spread: PriorSpread | None = None
) -> ContentBandit:
    """Return the bandit with every one of these variants and items; itself when it knows them all.

    Variants that are gone are kept: they sleep, and what was learnt from them of others stays.

    Args:
        bandit: what is known; where its items have no features yet, they get those of the items given.
        arms: ids that must be known.
        items: of variants as they are declared now; a variant without one keeps what it had, a new one gets zeros.
        spread: of the new coefficients before any outcome.
    """
    old = bandit.layout
    layout = _grown(old, arms, items or {})
    if layout == old:
        return bandit
    _, widths = layout.prior(0.5, spread or PriorSpread())
    order = {name: place for place, name in enumerate(_names(layout))}
    places = [order[name] for name in _names(old)]
    before = bandit.posterior
    mean, prior_mean, prior_precision = np.zeros(layout.size), np.zeros(layout.size), widths.copy()
    precision = np.diag(widths)
    mean[places], prior_mean[places], prior_precision[places] = before.mean, before.prior_mean, before.prior_precision
    precision[np.ix_(places, places)] = before.precision
    return replace(bandit, layout=layout, posterior=Posterior(mean, precision, prior_mean, prior_precision))


def _grown(old: Layout, arms: Sequence[str], items: Items) -> Layout:
    known = dict(zip(old.arms, old.items, strict=True))
    every = (*old.arms, *(arm for arm in arms if arm not in known))
    width = max(len(each) for each in (*old.items, *items.values()))
    found = (items.get(arm, known.get(arm, ())) for arm in every)
    return Layout(old.context, every, tuple((*each, *(0.0,) * (width - len(each))) for each in found))


def _names(layout: Layout) -> list[tuple[str, ...]]:
    """Return a name for each coefficient, in their order."""
    return [
        ("intercept",),
        *(("context", name) for name in layout.context),
        *(("arm", arm) for arm in layout.arms),
        *(("arm_context", arm, name) for arm in layout.arms for name in layout.context),
        *(("context_item", name, str(place)) for name in layout.context for place in range(len(layout.items[0]))),
        ("exposure",),
    ]

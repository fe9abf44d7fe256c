"""The numbers that rule a population's behaviour, and the six sets of them that methods are judged on.

Rates lie inside published magnitudes for pushes, e-mail and text messages; where none is published they are assumed.
What a method earns here says how it compares with another, never what a real population would do.
"""

from dataclasses import dataclass, replace

CHANNELS = ("push", "email", "sms", "in_app")
"""Order of every channel axis."""
TOPICS = 8
HALF_LIFE_FATIGUE, HALF_LIFE_HABIT, HALF_LIFE_ANNOYANCE = 2.0, 15.0, 60.0
"""Days."""


@dataclass(frozen=True)
class Scenario:
    """One set of numbers; the defaults are ``realistic``.

    Attributes:
        name: what ``kairos simulate --scenario`` calls it.
        open_rates: chance of an open by channel where everything else is average, each in (0, 1).
        optout_rates: chance of an opt-out by one message to somebody rested, by channel.
        consent: share who agreed at the start, by channel.
        load: how much one message of a channel tires, by channel.
        opens_factor: multiplies every chance of an open.
        openness_sd: spread of people's general inclination, on the logit scale.
        channel_sd: spread of people's liking of a channel.
        affinity: weight of the fit between a person's and a variant's topics.
        quality_sd: spread of variants' general appeal.
        timing: power of the hour's activity in the odds of an open.
        fatigue_on_opens: loss of logit per unit of fatigue.
        fatigue_on_optouts: gain of logit of an opt-out per unit of fatigue.
        liking_on_optouts: loss of logit of an opt-out per unit of liking.
        habit: loss of logit per remembered repeat of the same variant.
        annoyance: loss of log activity per unit of lasting annoyance.
        opens_are_visits: whether who opens was there that day for that reason.
        harmed: share of people whom an open costs that day's visit.
        smooth_profiles: daily rhythm from a Gaussian process instead of five types.
        swaps: whether the appeal of the variants is turned around halfway.
        drifts: whether rhythms and interests move.
    """

    name: str = "realistic"
    open_rates: tuple[float, ...] = (0.035, 0.018, 0.060, 0.10)
    optout_rates: tuple[float, ...] = (0.0008, 0.0015, 0.010, 0.0001)
    consent: tuple[float, ...] = (0.62, 0.85, 0.35, 1.0)
    load: tuple[float, ...] = (1.0, 0.6, 1.5, 0.3)
    opens_factor: float = 1.0
    openness_sd: float = 0.7
    channel_sd: float = 0.6
    affinity: float = 2.0
    quality_sd: float = 0.08
    timing: float = 0.45
    fatigue_on_opens: float = 0.10
    fatigue_on_optouts: float = 0.15
    liking_on_optouts: float = 0.8
    habit: float = 0.03
    annoyance: float = 0.002
    opens_are_visits: bool = True
    harmed: float = 0.0
    smooth_profiles: bool = False
    swaps: bool = False
    drifts: bool = True


REALISTIC = Scenario()

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        REALISTIC,
        replace(REALISTIC, name="easy", affinity=6.0, timing=0.8),
        replace(REALISTIC, name="misspecified", smooth_profiles=True, harmed=0.10),
        replace(REALISTIC, name="nonstationary", quality_sd=0.30, swaps=True),
        replace(REALISTIC, name="low_rate", opens_factor=0.3),
        replace(
            REALISTIC,
            name="null",
            open_rates=(0.035,) * 4,
            optout_rates=(0.0008,) * 4,
            load=(1.0,) * 4,
            openness_sd=0.0,
            channel_sd=0.0,
            affinity=0.0,
            quality_sd=0.0,
            timing=0.0,
            fatigue_on_opens=0.0,
            fatigue_on_optouts=0.0,
            liking_on_optouts=0.0,
            habit=0.0,
            annoyance=0.0,
            opens_are_visits=False,
        ),
    )
}
"""By name. In ``null`` nothing a sender decides changes anything: whatever "wins" there is noise."""

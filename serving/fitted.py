"""Which fitted models of hours, channels and leaving serve: a champion's verified bundle, or the prior without one.

A decision takes ``FittedModels.current``, which never waits; the priors serve before anything was fitted.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, Self, TypeVar

import numpy as np

from adapters.bundle import Bundle, BundleVerifier
from adapters.endpoints import Endpoints
from adapters.mlflow_rest import ModelAlias
from adapters.secrets import SecretBox
from adapters.settings import Settings
from domain.expected import Activity
from models.channel_value import registered as channels
from models.channel_value.score import Rates
from models.channel_value.spec import CHANNELS, PRIOR_OPEN, PRIOR_STRENGTH
from models.fatigue import registered as weariness
from models.fatigue.spec import PRIOR, Dynamics
from models.opt_out import registered as leaving
from models.opt_out import train as opt_out
from models.opt_out.train import Hazard
from models.send_time import registered as hours
from models.send_time import score as hour_score
from models.send_time.spec import HOURS_OF_WEEK, POPULATION, Archetypes
from serving.models import ALIAS, ServedModels

Parameters = TypeVar("Parameters")
PRIOR_RATES = Rates(
    np.array([PRIOR_OPEN[name] for name in CHANNELS]),
    np.full(len(CHANNELS), PRIOR_STRENGTH),
    (False,) * len(CHANNELS),
)


@dataclass(frozen=True)
class Parametrized(Generic[Parameters]):
    """A verified version and its parameters."""

    version: str
    digest: str
    run_id: str
    parameters: Parameters


@dataclass(frozen=True)
class Fitted:
    """What is believed of everybody: fitted, or the prior.

    Attributes:
        archetypes: of hours.
        rates: of answers by channel.
        dynamics: of weariness.
        hazard: of leaving a channel by one message.
        versions: of each fitted model by name; what is not named is the prior.
    """

    archetypes: Archetypes = POPULATION
    rates: Rates = PRIOR_RATES
    dynamics: Dynamics = PRIOR
    hazard: Hazard = opt_out.PRIOR
    versions: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def population(self) -> Activity:
        """Activity of somebody of whom nothing is known."""
        (rates,) = hour_score.log_activity(np.zeros((1, HOURS_OF_WEEK)), self.archetypes)
        return Activity(source="population", log_rates=tuple(rates.tolist()))


PRIORS = Fitted()


class FittedModels:
    """The models, each kept current by its own thread."""

    def __init__(
        self,
        archetypes: "Served[Archetypes]",
        rates: "Served[Rates]",
        dynamics: "Served[Dynamics]",
        hazard: "Served[Hazard]",
    ) -> None:
        """Start nothing yet.

        Args:
            archetypes: of ``send_time``.
            rates: of ``channel_value``.
            dynamics: of ``fatigue``.
            hazard: of ``opt_out``.
        """
        self._archetypes = archetypes
        self._rates = rates
        self._dynamics = dynamics
        self._hazard = hazard
        self._made = PRIORS

    @classmethod
    def of(cls, settings: Settings, endpoints: Endpoints, box: SecretBox) -> Self:
        """Return the models of this installation."""

        def served(name: str, read: Callable[[Mapping[str, bytes]], Parameters]) -> "Served[Parameters]":
            return ServedModels(
                folder=settings.bundle_dir.absolute() / name,
                alias=ModelAlias(endpoints.mlflow_url, model=name, alias=ALIAS),
                verifier=BundleVerifier.of(box),
                load=lambda verified: _ready(verified, read),
                poll_seconds=settings.model_poll_seconds,
                name=name,
            )

        return cls(
            served(hours.NAME, hours.from_files),
            served(channels.NAME, channels.from_files),
            served(weariness.NAME, weariness.from_files),
            served(leaving.NAME, leaving.from_files),
        )

    @property
    def current(self) -> Fitted:
        """What to decide with now; the same object until a version changes."""
        found, rates, dynamics = self._archetypes.current, self._rates.current, self._dynamics.current
        hazard = self._hazard.current
        named = {hours.NAME: found, channels.NAME: rates, weariness.NAME: dynamics, leaving.NAME: hazard}
        versions = {name: each.version for name, each in named.items() if each is not None}
        if versions != self._made.versions:
            self._made = Fitted(
                archetypes=found.parameters if found is not None else POPULATION,
                rates=rates.parameters if rates is not None else PRIOR_RATES,
                dynamics=dynamics.parameters if dynamics is not None else PRIOR,
                hazard=hazard.parameters if hazard is not None else opt_out.PRIOR,
                versions=versions,
            )
        return self._made

    @property
    def _every(self) -> "tuple[ServedModels[Any], ...]":
        return self._archetypes, self._rates, self._dynamics, self._hazard

    def poll(self) -> None:
        """Look once which versions are wanted and load those that are others than serve."""
        for each in self._every:
            each.poll()

    def start(self) -> None:
        """Begin to load; returns at once."""
        for each in self._every:
            each.start()

    def stop(self) -> None:
        """End the threads; what serves goes on serving."""
        for each in self._every:
            each.stop()


Served = ServedModels[Parametrized[Parameters]]


def _ready(verified: Bundle, read: Callable[[Mapping[str, bytes]], Parameters]) -> Parametrized[Parameters]:
    info = verified.info
    return Parametrized(info.version, verified.digest, info.run_id, read(verified.files))

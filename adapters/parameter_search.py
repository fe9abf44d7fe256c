"""Search for hyper-parameters by Optuna behind one function; bounded in trials and in time, repeatable by its seed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """Where a parameter may lie; whole numbers where ``whole``, evenly in the logarithm where ``log``."""

    low: float
    high: float
    whole: bool = False
    log: bool = False


@dataclass(frozen=True)
class Trial:
    """One try: its parameters and the loss they gave, lower is better."""

    number: int
    params: Mapping[str, float]
    loss: float


def search(
    loss: Callable[[Mapping[str, float]], float],
    space: Mapping[str, Range],
    *,
    first: Mapping[str, float],
    trials: int,
    seconds: float,
    seed: int,
) -> Sequence[Trial]:
    """Try parameters, the given ones first, then those a Tree-structured Parzen Estimator suggests.

    Args:
        loss: what is to be low.
        space: by name.
        first: tried first, so that the result is never worse.
        trials: at most so many.
        seconds: no new one begins after so long.
        seed: of the suggestions.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="minimize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial(dict(first))

    def asked(trial: "optuna.Trial") -> float:
        return loss({name: _suggested(trial, name, within) for name, within in space.items()})

    study.optimize(asked, n_trials=trials, timeout=seconds)
    return [Trial(one.number, dict(one.params), float(one.value)) for one in study.trials if one.value is not None]


def _suggested(trial: "optuna.Trial", name: str, within: Range) -> float:  # type: ignore[name-defined] # noqa: F821
    if within.whole:
        return float(trial.suggest_int(name, int(within.low), int(within.high), log=within.log))
    return float(trial.suggest_float(name, within.low, within.high, log=within.log))

"""Fit archetypes: a mixture of ways to spend a week, and how much it counts beside a person's own sessions."""

from dataclasses import replace

import numpy as np

from models.send_time import score
from models.send_time.spec import (
    ARCHETYPES,
    FEWEST_FOR_ONE,
    FEWEST_PEOPLE,
    FEWEST_SESSIONS,
    FLOOR,
    HOURS_OF_WEEK,
    POPULATION,
    Archetypes,
    Floats,
)

TEMPERS = (0.25, 0.5, 1.0)
KAPPAS = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0, 250.0, 500.0)
ROUNDS = 40
_PRIOR_SESSIONS = 50.0
_PRIOR_PEOPLE = 5.0


class NotEnoughData(ValueError):
    """Too few people have enough sessions to tell ways of life apart; says how many are needed."""


def fit(counts: Floats, earlier: Floats, lately: Floats, *, seed: int, archetypes: int = ARCHETYPES) -> Archetypes:
    """Return archetypes of everything known, with the strength that would have told the last sessions best.

    Args:
        counts: decayed sessions until now, shape (n, 168).
        earlier: decayed sessions until some time before, as of then, shape (n, 168).
        lately: sessions since then, shape (n, 168).
        seed: of the start.
        archetypes: how many ways of life at most, at least 1.

    Raises:
        NotEnoughData: fewer than ``FEWEST_PEOPLE`` have ``FEWEST_SESSIONS``.
    """
    before = mixture(earlier, seed=seed, archetypes=archetypes)
    chosen = strength(earlier, lately, before)
    found = mixture(counts, seed=seed, archetypes=archetypes)
    return replace(found, kappa=chosen.kappa, temper=chosen.temper)


def mixture(counts: Floats, *, seed: int, archetypes: int = ARCHETYPES) -> Archetypes:
    """Return archetypes by expectation maximisation, each profile smoothed and pulled to everybody's mean.

    One archetype is everybody's week, for which fewer people do.

    Raises:
        NotEnoughData: as ``fit``; for one archetype, fewer than ``FEWEST_FOR_ONE`` people have a session.
    """
    everybody = _profiles(counts.sum(axis=0, keepdims=True), POPULATION.profiles)
    if archetypes == 1:
        people = int((counts.sum(axis=1) > 0).sum())
        if people < FEWEST_FOR_ONE:
            raise NotEnoughData(f"{people} people have a session; at least {FEWEST_FOR_ONE} are needed")
        return Archetypes(everybody, np.ones(1))
    shaping = _shaping(counts)
    if len(shaping) < FEWEST_PEOPLE:
        raise NotEnoughData(
            f"{len(shaping)} people have {FEWEST_SESSIONS} sessions or more; at least {FEWEST_PEOPLE} are needed"
        )
    belongs = _start(shaping, everybody, archetypes, np.random.default_rng(seed))
    found = _shaped(shaping, belongs, everybody)
    for _ in range(ROUNDS):
        found = _shaped(shaping, score.weights(shaping, found), everybody)
    return found


def affordable(counts: Floats) -> int:
    """Return how many archetypes decayed sessions can tell apart: ``ARCHETYPES``, or the one week of everybody."""
    return ARCHETYPES if len(_shaping(counts)) >= FEWEST_PEOPLE else 1


def _shaping(counts: Floats) -> Floats:
    """Return the sessions of who has enough; two half-lives of a steady visitor come to half of what was counted."""
    return np.asarray(counts[counts.sum(axis=1) >= FEWEST_SESSIONS / 2])


def strength(earlier: Floats, lately: Floats, archetypes: Archetypes) -> Archetypes:
    """Return the archetypes with the strength and the power of own sessions that make ``lately`` likeliest.

    Raises:
        NotEnoughData: there is no session to tell by.
    """
    if lately.sum() <= 0:
        raise NotEnoughData("no sessions since the earlier counts; at least 1 is needed")
    tried = [replace(archetypes, kappa=kappa, temper=temper) for temper in TEMPERS for kappa in KAPPAS]
    likely = [float((lately * score.log_activity(earlier, each)).sum()) for each in tried]
    return tried[int(np.argmax(likely))]


def _shaped(counts: Floats, belongs: Floats, everybody: Floats) -> Archetypes:
    people = belongs.sum(axis=0) + _PRIOR_PEOPLE
    return Archetypes(_profiles(belongs.T @ counts, everybody), people / people.sum())


def _profiles(sessions: Floats, prior: Floats) -> Floats:
    """Return profiles of mean 1 and no zero, shape (K, 168)."""
    near = HOURS_OF_WEEK * score.smoothed(sessions)
    mean = (near + _PRIOR_SESSIONS * prior) / (sessions.sum(axis=1, keepdims=True) + _PRIOR_SESSIONS)
    raised = np.maximum(mean, FLOOR)
    return np.asarray(raised / raised.mean(axis=1, keepdims=True))


def _start(counts: Floats, everybody: Floats, archetypes: int, rng: np.random.Generator) -> Floats:
    """Return a first membership: people are spread over others that are far apart (k-means++)."""
    near = HOURS_OF_WEEK * score.smoothed(counts)
    total = counts.sum(axis=1, keepdims=True)
    shape = np.sqrt((near + FEWEST_SESSIONS * everybody) / (total + FEWEST_SESSIONS))
    centres = [shape[rng.integers(len(shape))]]
    far = ((shape - centres[0]) ** 2).sum(axis=1)
    for _ in range(archetypes - 1):
        centres.append(shape[rng.choice(len(shape), p=far / far.sum())])
        far = np.minimum(far, ((shape - centres[-1]) ** 2).sum(axis=1))
    apart = ((shape[:, None, :] - np.array(centres)[None]) ** 2).sum(axis=2)
    return np.asarray(np.eye(archetypes)[apart.argmin(axis=1)])

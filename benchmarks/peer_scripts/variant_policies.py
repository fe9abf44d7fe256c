"""Policies over variants of Vowpal Wabbit and mabwiser, asked day by day through files.

Called with the policy's name. Each line it reads names two files: arrays that are given, and where the answer goes.
With ``items`` it begins anew; with ``reward`` it learns; otherwise it answers with each variant's probability. Settings
are the best that were found for these policies in a world like this one, and were not chosen again.
"""

import sys
from collections.abc import Callable

import numpy as np

FLOOR = 0.02


class Vowpal:
    """A contextual bandit over variants that are told by their topics and by their names."""

    def __init__(self, words: str) -> None:
        import vowpalwabbit  # noqa: PLC0415

        common = "--quiet --random_seed 1 --cb_min_cost -1 --cb_max_cost 0 -q UA -q UI "
        self._make = lambda: vowpalwabbit.Workspace(common + words)

    def begin(self, items: np.ndarray) -> None:
        """Know nothing but the variants' topics."""
        self._vw = self._make()
        self._arms = [
            f"|A {' '.join(f't{place}:{value:.4f}' for place, value in enumerate(item))} |I v{arm}"
            for arm, item in enumerate(items)
        ]

    def probabilities(self, context: np.ndarray, exposure: np.ndarray, eligible: np.ndarray) -> np.ndarray:
        """Return each variant's probability, shape (n, K)."""
        made = np.zeros(eligible.shape)
        for row, possible in enumerate(eligible):
            arms = np.flatnonzero(possible)
            made[row, arms] = self._vw.predict(self._lines(context[row], exposure[row], arms, None))
        return made / made.sum(axis=1, keepdims=True)

    def learn(self, given: dict[str, np.ndarray]) -> None:
        """Learn what came of a day."""
        for row, possible in enumerate(given["eligible"]):
            taken = int(given["arm"][row])
            label = (taken, f"0:{-given['reward'][row]}:{given['probabilities'][row, taken]} ")
            arms = np.flatnonzero(possible)
            self._vw.learn(self._lines(given["context"][row], given["exposure"][row], arms, label))

    def _lines(self, context: np.ndarray, exposure: np.ndarray, arms: np.ndarray, label: tuple[int, str] | None) -> str:
        told = [f"shared |U {' '.join(f'c{place}:{value:.4f}' for place, value in enumerate(context))}"]
        for arm in arms:
            mark = label[1] if label is not None and label[0] == arm else ""
            told.append(f"{mark}{self._arms[arm]} |E seen:{exposure[arm] / 5:.4f}")
        return "\n".join(told)


class Mabwiser:
    """A linear model for each variant; it has no propensities, so its best is taken but for a floor."""

    def __init__(self, make: Callable[[int], object]) -> None:
        self._make = make

    def begin(self, items: np.ndarray) -> None:
        """Know nothing."""
        self._arms, self._model, self._fitted = len(items), self._make(len(items)), False

    def probabilities(self, context: np.ndarray, exposure: np.ndarray, eligible: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Return 1 - floor for the possible variant with the highest expectation, shape (n, K)."""
        even = eligible / eligible.sum(axis=1, keepdims=True)
        if not self._fitted:
            return even
        found = self._model.predict_expectations(context)
        values = np.array([[row[arm] for arm in range(self._arms)] for row in found])
        best = np.where(eligible, values, -np.inf).argmax(axis=1)
        return (1 - FLOOR) * np.eye(self._arms)[best] + FLOOR * even

    def learn(self, given: dict[str, np.ndarray]) -> None:
        """Learn what came of a day."""
        if self._fitted:
            self._model.partial_fit(given["arm"], given["reward"], given["context"])
        elif len(np.unique(given["arm"])) == self._arms:
            self._model.fit(given["arm"], given["reward"], given["context"])
            self._fitted = True


def linear(name: str) -> Callable[[int], object]:
    """Return a maker of mabwiser's linear policy of a name."""
    from mabwiser.mab import MAB, LearningPolicy  # noqa: PLC0415

    policies = {"ts": LearningPolicy.LinTS(alpha=0.1), "greedy": LearningPolicy.LinGreedy(epsilon=0.0, l2_lambda=1.0)}
    return lambda arms: MAB(list(range(arms)), policies[name], seed=1)


POLICIES = {
    "vw_squarecb": lambda: Vowpal("--cb_explore_adf --squarecb --gamma_scale 1000 -l 0.1"),
    "vw_regcb": lambda: Vowpal("--cb_explore_adf --regcbopt --mellowness 0.001"),
    "mabwiser_lin_ts": lambda: Mabwiser(linear("ts")),
    "mabwiser_lin_greedy": lambda: Mabwiser(linear("greedy")),
}


def main() -> None:
    """Answer until the input ends."""
    policy = POLICIES[sys.argv[1]]()
    for line in sys.stdin:
        given_path, answer_path = line.rstrip("\n").split("\t")
        with np.load(given_path) as file:
            given = dict(file)
        answer = {}
        if "items" in given:
            policy.begin(given["items"])
        elif "reward" in given:
            policy.learn(given)
        else:
            answer["probabilities"] = policy.probabilities(given["context"], given["exposure"], given["eligible"])
        np.savez(answer_path, **answer)
        print("done", flush=True)


main()

"""A log of decisions as arrays: what was known, what was done with which probability, and what came of it."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class DecisionLog:
    """n decisions among K named actions.

    Attributes:
        context: features known before the decision, shape (n, features), any column type.
        actions: names of the K actions.
        action: index of the action taken, shape (n,), 0 to K-1.
        probability: chance the logging policy gave that action, shape (n,); (0, 1] where the log is sound.
        reward: what came of it, shape (n,), finite.
        eligible: which actions could have been taken, shape (n, K).
        cluster: the independent unit of each row (the recipient), shape (n,), 0 to clusters-1.
        position: place of the row in a list of several, or None where there is one place only.
    """

    context: pd.DataFrame
    actions: tuple[str, ...]
    action: Integers
    probability: Floats
    reward: Floats
    eligible: Booleans
    cluster: Integers
    position: npt.NDArray[np.str_] | None = None

    def __len__(self) -> int:
        """Number of decisions."""
        return len(self.reward)

    @cached_property
    def clusters(self) -> int:
        """Number of independent units."""
        return len(np.unique(self.cluster))

    @cached_property
    def digest(self) -> str:
        """What tells this log from another: SHA-256 over every row, in order."""
        made = hashlib.sha256("\x1f".join(self.actions[index] for index in self.action).encode())
        for part in (self.probability, self.reward):
            made.update(np.ascontiguousarray(part).tobytes())
        hashed = pd.util.hash_pandas_object(self.context.astype(str), index=False).to_numpy()
        made.update(np.ascontiguousarray(hashed).tobytes())
        return made.hexdigest()

    def rows(self, chosen: Booleans) -> "DecisionLog":
        """Return the log of some rows, clusters numbered anew."""
        return replace(
            self,
            context=self.context.loc[chosen].reset_index(drop=True),
            action=self.action[chosen],
            probability=self.probability[chosen],
            reward=self.reward[chosen],
            eligible=self.eligible[chosen],
            cluster=np.unique(self.cluster[chosen], return_inverse=True)[1].astype(np.int64),
            position=None if self.position is None else self.position[chosen],
        )


def folds(cluster: Integers, count: int, seed: int) -> Integers:
    """Return a fold for each row, shape (n,), 0 to count-1, all rows of a cluster in the same one."""
    _, place = np.unique(cluster, return_inverse=True)
    units = int(place.max()) + 1
    dealt = np.arange(units, dtype=np.int64) % count
    return np.random.default_rng(seed).permutation(dealt)[place]

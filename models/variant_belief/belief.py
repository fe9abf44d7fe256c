"""One message type's belief: the regression behind three policies, and the sums behind the fourth.

Both learn from the same batches, so that a type may change its policy and lose nothing.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np

from domain.policy import PolicyName
from models.arm_draws import BadArms, Booleans, Floats, Integers, check
from models.content_bandit import bandit as content_bandit
from models.content_bandit.bandit import ContentBandit, Outcomes
from models.content_bandit.context import CONTEXT
from models.content_bandit.growth import with_arms
from models.content_bandit.items import Items
from models.content_bandit.layout import Layout
from models.content_bandit.posterior import Posterior
from models.off_policy.policy import softmax
from models.packed_arrays import BadPack, pack, unpack
from models.recovering_softmax import policy as recovering
from models.recovering_softmax.policy import RecoveringSoftmax
from models.recovering_softmax.sums import COLUMNS, ArmSums

SCHEMA = "kairos.variant_belief/1"
BASE_RATE = 0.03
"""Share of messages that are answered, before anything was learnt: the middle of the channels' priors."""
_BANDIT_TABLES = ("mean", "precision", "prior_mean", "prior_precision")


class BadBelief(ValueError):
    """Bytes are no belief of this version; says what is wrong."""


@dataclass(frozen=True)
class Spread:
    """Numbers of epsilon-softmax over expected rewards.

    Attributes:
        epsilon: share spread evenly, in (0, 1).
        temperature: in units of reward, > 0.
    """

    epsilon: float
    temperature: float


@dataclass(frozen=True)
class Rows:
    """n decisions and the K variants of a type.

    Attributes:
        context: shape (n, p), columns as in ``CONTEXT``.
        exposure: decayed exposures to each variant, shape (n, K).
        eligible: shape (n, K), at least one in each row.
        decision_ids: n ids.
    """

    context: Floats
    exposure: Floats
    eligible: Booleans
    decision_ids: Sequence[str]


@dataclass(frozen=True)
class Learnt:
    """What came of n decisions, in the order in which they are learnt.

    Attributes:
        context: shape (n, p).
        exposure: decayed exposures to the variant that was taken, shape (n,).
        arm: index of it among the belief's arms, shape (n,).
        probabilities: that each arm was drawn with, 0 for those that slept, shape (n, K).
        reward: shape (n,), in [0, 1].
    """

    context: Floats
    exposure: Floats
    arm: Integers
    probabilities: Floats
    reward: Floats


@dataclass(frozen=True)
class VariantBelief:
    """A belief about a type's variants; nothing is changed in place."""

    bandit: ContentBandit
    softmax: RecoveringSoftmax

    @classmethod
    def fresh(cls, arms: Sequence[str]) -> Self:
        """Return what is believed before any outcome: every variant is worth the same."""
        layout = Layout(CONTEXT, tuple(arms), ((),) * len(arms))
        bandit = ContentBandit.fresh(layout, base_rate=BASE_RATE)
        return cls(bandit, RecoveringSoftmax(tuple(arms), ArmSums.empty(len(arms))))

    @property
    def arms(self) -> tuple[str, ...]:
        """Ids of all variants that were ever known, in the order of the tables' columns."""
        return self.bandit.layout.arms

    @property
    def learned_rows(self) -> int:
        """Outcomes learnt from so far."""
        return self.bandit.learned_rows

    def with_arms(self, arms: Sequence[str], items: Items | None = None) -> "VariantBelief":
        """Return the belief with every one of these variants; itself when it knows them all.

        New ones are at the prior, but for what variants with the same features were worth.
        """
        grown = with_arms(self.bandit, arms, items)
        if grown is self.bandit:
            return self
        sums = np.zeros((len(grown.layout.arms), len(COLUMNS)))
        sums[: len(self.arms)] = self.softmax.sums.table
        return VariantBelief(grown, replace(self.softmax, arms=grown.layout.arms, sums=ArmSums(sums)))

    def expected(self, policy: PolicyName, rows: Rows) -> Floats:
        """Return what the policy compares, shape (n, K): expected rewards, or relative gains less the penalty.

        Raises:
            BadArms: the tables do not fit.
        """
        if policy is PolicyName.RECOVERING_SOFTMAX:
            gains = self.softmax.sums.scores(self.softmax.settings.shrinkage)
            found: Floats = gains - self.softmax.settings.penalty * rows.exposure
            return found
        return self.bandit.expected(rows.context, rows.exposure)

    def probabilities(self, policy: PolicyName, rows: Rows, spread: Spread) -> Floats:
        """Return each variant's probability, shape (n, K); rows sum to 1, variants that sleep get 0.

        Raises:
            BadArms: the tables do not fit, a row has no variant, or the policy is none over variants.
        """
        if policy is PolicyName.INVERSE_GAP:
            return self.bandit.probabilities(rows.context, rows.exposure, rows.eligible)
        if policy is PolicyName.THOMPSON:
            ids = list(rows.decision_ids)
            return self.bandit.thompson_probabilities(rows.context, rows.exposure, rows.eligible, ids)
        if policy is PolicyName.RECOVERING_SOFTMAX:
            return self.softmax.probabilities(rows.exposure, rows.eligible)
        if policy is PolicyName.EPSILON_SOFTMAX:
            values = self.bandit.expected(rows.context, rows.exposure)
            check(values, rows.eligible)
            return softmax(values, rows.eligible, temperature=spread.temperature, floor=spread.epsilon)
        if policy is PolicyName.UNIFORM:
            even: Floats = rows.eligible / rows.eligible.sum(axis=1, keepdims=True)
            return even
        raise BadArms(f"policy: {policy.value} chooses no variants")

    def learned(self, batch: Learnt, *, elapsed_days: float = 0.0) -> "VariantBelief":
        """Return the belief after a batch; the same batch gives the same bytes.

        Raises:
            BadArms: the tables do not fit; nothing was learnt.
        """
        outcomes = Outcomes(batch.context, batch.exposure, batch.arm, batch.reward)
        moved = self.bandit.learned(outcomes, elapsed_days=elapsed_days)
        # A draw that could not come out otherwise says nothing about one variant against the others.
        open_ = (batch.probabilities < 1).all(axis=1)
        chances = batch.probabilities[open_]
        sums = self.softmax.sums.added(chances, chances > 0, batch.arm[open_], batch.reward[open_])
        return VariantBelief(moved, replace(self.softmax, sums=sums))

    def as_bytes(self) -> bytes:
        """Return the state as bytes: the same belief always gives the same."""
        belief = self.bandit.posterior
        header = {
            "schema": SCHEMA,
            "layout": self.bandit.layout.as_json(),
            "bandit": asdict(self.bandit.settings),
            "learned_rows": self.bandit.learned_rows,
            "softmax": asdict(self.softmax.settings),
        }
        tables = {name: getattr(belief, name) for name in _BANDIT_TABLES}
        return pack(header, {**tables, "sums": self.softmax.sums.table})

    @classmethod
    def from_bytes(cls, body: bytes) -> Self:
        """Read what :meth:`as_bytes` wrote.

        Raises:
            BadBelief: it is of another version, or a part is missing, wrong, or of the wrong size.
        """
        try:
            header, tables = unpack(body)
            if header.get("schema") != SCHEMA:
                raise BadBelief(f"it is no state of schema {SCHEMA}: its schema is {header.get('schema')!r}")
            return cls(_bandit(header, tables), _softmax(header, tables))
        except (BadPack, KeyError, TypeError, ValueError, np.linalg.LinAlgError) as error:
            told = error if isinstance(error, BadBelief) else f"a part of the state is missing or wrong: {error}"
            raise BadBelief(str(told)) from None


def verified(body: bytes, expected: bytes) -> VariantBelief:
    """Read a state whose SHA-256 is known.

    Raises:
        BadBelief: its digest is another, or it is no state of this version.
    """
    if digest(body) != expected:
        raise BadBelief("its digest is another than was stored with it")
    return VariantBelief.from_bytes(body)


def digest(body: bytes) -> bytes:
    """Return the SHA-256 of a state's bytes."""
    return hashlib.sha256(body).digest()


def _bandit(header: dict[str, Any], tables: dict[str, Floats]) -> ContentBandit:
    layout = Layout.from_json(header["layout"])
    mean, precision, prior_mean, prior_precision = (tables[name] for name in _BANDIT_TABLES)
    if not mean.shape == prior_mean.shape == prior_precision.shape == (layout.size,):
        raise ValueError(f"mean, prior_mean, prior_precision: expected {layout.size} numbers each")
    if precision.shape != (layout.size, layout.size):
        raise ValueError(f"precision: expected {layout.size} by {layout.size} numbers")
    if not all(np.isfinite(tables[name]).all() for name in _BANDIT_TABLES):
        raise ValueError(f"{', '.join(_BANDIT_TABLES)}: expected finite numbers")
    np.linalg.cholesky(precision)  # raises where it is no precision
    settings = content_bandit.Settings(**header["bandit"])
    belief = Posterior(mean, precision, prior_mean, prior_precision)
    return ContentBandit(layout, settings, belief, int(header["learned_rows"]))


def _softmax(header: dict[str, Any], tables: dict[str, Floats]) -> RecoveringSoftmax:
    arms, sums = tuple(header["layout"]["arms"]), tables["sums"]
    if sums.shape != (len(arms), len(COLUMNS)) or not (np.isfinite(sums) & (sums >= 0)).all():
        raise ValueError(f"sums: expected {len(arms)} by {len(COLUMNS)} finite numbers of at least 0")
    return RecoveringSoftmax(arms, ArmSums(sums), recovering.Settings(**header["softmax"]))

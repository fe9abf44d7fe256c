"""Names for people and decisions that can be kept: pseudonyms, decision ids and keyed draws.

Decisions and audit rows carry a ``subject_key`` instead of the recipient's id, so that erasing the person
never breaks them. A decision's id keys its random draw, so a repeat or a replay draws the same.
"""

import hashlib
import hmac
import uuid

_MANTISSA_BITS = 53


def subject_key(tenant_secret: bytes, recipient_id: str) -> str:
    """Return the pseudonym of a recipient, 32 hexadecimal digits; meaningless without the tenant's secret."""
    return hmac.new(tenant_secret, recipient_id.encode(), hashlib.sha256).hexdigest()[:32]


def decision_id(tenant_secret: bytes, idempotency_key: str) -> str:
    """Return the id that one idempotency key stands for, always the same, unguessable from outside."""
    digest = hmac.new(tenant_secret, b"decision:" + idempotency_key.encode(), hashlib.sha256).digest()
    return str(uuid.UUID(bytes=digest[:16], version=5))


def draw(decision: str, stream: str) -> float:
    """Return the uniform number in [0, 1) that belongs to one decision and one named stage.

    Args:
        decision: the decision's id.
        stream: the stage's name; different stages of one decision draw independently.
    """
    digest = hashlib.sha256(f"{decision}|{stream}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> (64 - _MANTISSA_BITS)) / float(1 << _MANTISSA_BITS)


def in_share(subject: str, salt: str, share: float) -> bool:
    """Return whether a subject falls into a fixed share of all subjects, by hash; stable for ever.

    Args:
        subject: the pseudonym.
        salt: names the division, so that different divisions are independent.
        share: in [0, 1].
    """
    return draw(subject, salt) < share

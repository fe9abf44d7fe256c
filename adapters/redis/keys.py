"""Every Redis key of Kairos, built here and nowhere else.

The key of a recipient's online features is in Feast's form and contains the tenant, an entity of every view.
"""

ENGAGEMENT_STREAM = "engagement:v1"

FEATURE_LAYOUTS = "features:layouts"
"""Hash of the layouts that packed feature rows name."""


def epoch(stream: str) -> str:
    """Return the key of the id that changes whenever the stream may have lost entries."""
    return f"{stream}:epoch"


def attempts(stream: str) -> str:
    """Return the key of the hash that counts how often each troublesome entry was tried."""
    return f"{stream}:attempts"


def rebuilt(stream: str) -> str:
    """Return the key of the hash that names, per tenant, the epoch its online features were rebuilt for."""
    return f"{stream}:rebuilt"

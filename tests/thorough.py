"""How long a search goes on: shorter in every run, at full length with ``KAIROS_THOROUGH=1``, as at night."""

import os

IS_THOROUGH = os.environ.get("KAIROS_THOROUGH") == "1"


def examples(full: int, short: int) -> int:
    """Return how many examples to try, seconds to search, or every how many to look at: ``full`` in a thorough run."""
    return full if IS_THOROUGH else short

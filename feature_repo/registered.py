"""What the command ``feast apply`` reads; every other file is in .feastignore. Python callers use ``definitions``.

Feast loads this file by its path and registers the objects it finds as attributes.
"""

import os
from pathlib import Path

import yaml

from feature_repo import definitions

_CONFIG = Path(__file__).with_name("feature_store.yaml")


def _lake() -> str:
    """Return the folder of the lake as feature_store.yaml names it, expanded the way Feast expands that file."""
    folder = str(yaml.safe_load(os.path.expandvars(_CONFIG.read_text()))["lake"])
    if not Path(folder).is_absolute():
        raise ValueError(f"lake in {_CONFIG.name} is {folder!r}, not an absolute folder: is FEAST_LAKE set?")
    return folder


_made = definitions.build(_lake())
project, tenant, recipient, recipient_engagement, recipient_delivery, recipient_habits, engagement_v1, habits_v1 = _made

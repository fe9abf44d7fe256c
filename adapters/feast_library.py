"""Feast, imported without what its import does to everybody else in the process.

``import feast`` switches ``prometheus_client`` to its mode for several processes, with a temporary folder of its own:
counters of ours would silently live there. Every part of ours that needs Feast comes through here first.
"""

import importlib
import sys
from types import ModuleType

from adapters.settings import environment_unchanged


def load() -> ModuleType:
    """Return Feast; the first call takes seconds."""
    if "feast" not in sys.modules:
        # prometheus_client decides when it is imported, so it has to be before the environment changes.
        importlib.import_module("prometheus_client")
        with environment_unchanged(PROMETHEUS_MULTIPROCESS_DIR=""):
            importlib.import_module("feast")
            importlib.import_module("feast.metrics")
    return sys.modules["feast"]

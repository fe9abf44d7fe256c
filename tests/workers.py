"""How tests are shared out among processes: by file, dearest first.

Every process has servers of its own, so the tests of a file stay together, and those of the lineage too: their
installation takes a minute to make. Folders of dear tests come first, for a long file at the end has nobody beside it.
"""

from pathlib import PurePosixPath

import pytest
from xdist.scheduler import LoadFileScheduling

TOGETHER = PurePosixPath("tests/integration/lineage")
DEAREST_FIRST = ("journey", "integration", "contract", "unit")


class ByFile(LoadFileScheduling):
    """Keeps the tests of a file, or of a folder that stays together, in one process."""

    def _split_scope(self, nodeid):
        file = PurePosixPath(nodeid.split("::")[0])
        return str(TOGETHER if TOGETHER in file.parents else file)


def pytest_xdist_make_scheduler(config, log):
    return ByFile(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Put dear folders first; the order inside a folder stays random."""
    items.sort(key=_rank)


def _rank(item):
    kind = next((part for part in item.path.parts if part in DEAREST_FIRST), DEAREST_FIRST[-1])
    is_lineage = TOGETHER.name in item.path.parts
    return DEAREST_FIRST.index(kind), not is_lineage

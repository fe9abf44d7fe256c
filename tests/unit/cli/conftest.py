"""The command line, called in the test's own process."""

from functools import partial

import pytest

from tests.command_line import called


@pytest.fixture
def kairos(monkeypatch, capsys):
    """Return a call of the command line that gives its exit code, output and errors."""
    return partial(called, monkeypatch, capsys)

"""The command line as a person meets it, in the test's own process."""

import json
import sys

import pytest

from cli import app


def called(monkeypatch, capsys, *words):
    """Call ``kairos`` and return its exit code, output and errors."""
    monkeypatch.setattr(sys, "argv", ["kairos", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        app.main()
    said = capsys.readouterr()
    return ended.value.code or 0, said.out, said.err


def asked(run, *words):
    """Return the JSON object that a command prints."""
    code, out, err = run(*words, "--json")
    assert code == 0, err
    return json.loads(out)

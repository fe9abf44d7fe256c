"""Hostile templates and data: nothing is evaluated, nothing of the machine is told, nothing grows without end."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from domain.content import CannotRender
from domain.values import Channel
from tests.hostile_templates import BOMBS, CANARY, EVIL, INJECTIONS, rendered

ROOT = Path(__file__).parents[3]
MOST_GROWTH_MB = 50


@pytest.fixture
def canaries(monkeypatch, tmp_path):
    monkeypatch.setenv("KAIROS_CANARY", CANARY)
    (tmp_path / "canary").write_text(CANARY)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("injection", INJECTIONS)
@pytest.mark.usefixtures("canaries")
def test_no_template_reaches_python_or_the_machine(injection):
    try:
        said = rendered(injection, name="x")
    except CannotRender as refused:
        said = str(refused)
    for secret in ("49", CANARY, "<class", "object at 0x"):
        assert secret not in said


@pytest.mark.parametrize("injection", INJECTIONS)
@pytest.mark.parametrize("channel", list(Channel))
@pytest.mark.usefixtures("canaries")
def test_what_a_profile_or_an_event_holds_is_never_a_template(injection, channel):
    # As a variable of the request, and deep in the properties of an event that was passed on.
    properties = {"deep": {"value": injection}}
    said = rendered("{{ name }} {{ properties.deep.value }}", channel, name=injection, properties=properties)
    assert "49" not in said
    assert CANARY not in said
    if channel not in (Channel.EMAIL, Channel.VOICE):
        assert said == f"{injection} {injection}"


@pytest.fixture(scope="module")
def taken():
    """What each bomb took in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile_templates"], cwd=ROOT, capture_output=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr[-500:]
    return json.loads(done.stdout)


HARMLESS = {"times", *EVIL, *(name for name in BOMBS if name.startswith("html"))} - {"escape", "value"}
"""What is filled because nothing of it is a bomb any more."""


@pytest.mark.parametrize("bomb", [*BOMBS, *EVIL])
def test_a_bomb_is_refused_and_takes_little_memory(taken, bomb):
    told = taken[bomb]
    assert told["grown_mb"] < MOST_GROWTH_MB
    assert told["outcome"].startswith("filled") == (bomb in HARMLESS), told["outcome"]

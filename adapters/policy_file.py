"""Policies as files: JSON, data only, written whole or not at all."""

import json
from pathlib import Path

from models.off_policy.policy import BadPolicy, LearnedPolicy


class BadPolicyFile(Exception):
    """A file is no policy, or cannot be written; the message names it."""


def write_policy(policy: LearnedPolicy, path: Path) -> None:
    """Write a policy.

    Raises:
        BadPolicyFile: it cannot be written there.
    """
    aside = path.with_name(f".{path.name}.writing")
    try:
        aside.write_text(json.dumps(policy.as_json(), allow_nan=False, sort_keys=True) + "\n")
        aside.replace(path)
    except OSError as error:
        raise BadPolicyFile(f"{path}: cannot be written: {error}") from None


def read_policy(path: Path) -> LearnedPolicy:
    """Read a policy.

    Raises:
        BadPolicyFile: there is no such file, or it is no policy this version reads.
    """
    try:
        return LearnedPolicy.from_json(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        told = error if isinstance(error, BadPolicy | OSError) else "it is not JSON"
        raise BadPolicyFile(f"{path}: {told}") from None

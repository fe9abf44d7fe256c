"""A decision that was answered while PostgreSQL was away, as a sealed line of a local file."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass

import structlog
from pydantic import ConfigDict, TypeAdapter, ValidationError

from adapters.postgres.decision_rows import Row
from adapters.secrets import CannotOpen, SecretBox

_NAME = "decision-spool"
_log = structlog.get_logger("kairos.spool")


@dataclass(frozen=True)
class Spooled:
    """A decision that was answered and is not recorded yet."""

    __pydantic_config__ = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
    tenant: str
    actor: str
    row: Row

    @property
    def name(self) -> tuple[str, str]:
        """What it is known by."""
        return self.tenant, self.row.decision_id


_FORM = TypeAdapter(Spooled)


def sealed(box: SecretBox, spooled: Spooled) -> bytes:
    """Return a decision as a line, with its end."""
    return base64.b64encode(box.seal(_NAME, _FORM.dump_json(spooled))) + b"\n"


def opened(box: SecretBox, body: bytes) -> Iterator[Spooled]:
    """Yield the decisions of a file's whole lines; one that was cut short is none.

    A line that was written under another secret, or is damaged, says nothing to anybody: it is told in the log.
    """
    for line in body[: body.rfind(b"\n") + 1].splitlines():
        if (spooled := one(box, line)) is not None:
            yield spooled


def one(box: SecretBox, line: bytes) -> Spooled | None:
    """Return the decision of one line, None when it cannot be opened."""
    try:
        return _FORM.validate_json(box.unseal(_NAME, base64.b64decode(line, validate=True)))
    except (CannotOpen, ValidationError, ValueError) as error:
        _log.error("spool.unreadable", error=type(error).__name__)
        return None

"""A generator that writes, behind HTTP: a service that the operator runs, such as one in front of a language model.

It is off unless the operator says where it is. It is told the brief, which names no recipient, and what it answers is
read strictly and believed in nothing; docs/content.md has the protocol.
"""

import json
from collections.abc import Sequence

from pydantic import Field, ValidationError

from adapters.egress import Egress, Limits, Unreachable
from adapters.settings import Settings
from domain import strict_json
from domain.generation import MAX_CANDIDATES, Brief
from domain.item_features import ItemFeatures
from domain.message_types import Content, Variant
from domain.outside import Forbidden
from domain.profiles import Locale
from domain.slots import VariantId
from domain.strict_json import StrictJsonError
from domain.values import Channel, Frozen

WRITER = "writer"
LIMITS = Limits(connect_seconds=2.0, read_seconds=20.0, total_seconds=20.0, answer_bytes=1024 * 1024)
_OK = 200


class WriterUnavailable(RuntimeError):
    """The writer gave no usable answer; the message repeats nothing that came, nor the key."""


class _Written(Frozen):
    id: VariantId
    features: ItemFeatures | None = None
    content: dict[Channel, Content] = Field(min_length=1)
    translations: dict[Locale, dict[Channel, Content]] = Field(default_factory=dict)


class _Answer(Frozen):
    variants: tuple[_Written, ...] = Field(max_length=MAX_CANDIDATES)


class VariantWriter:
    """Asks one writer."""

    name = WRITER

    def __init__(self, url: str, key: str | None, egress: Egress) -> None:
        """Ask nothing yet.

        Args:
            url: where briefs are posted.
            key: sent as a bearer token, to this address only: no redirect is followed.
            egress: the way out.
        """
        self._url = url
        self._key = key
        self._egress = egress

    @classmethod
    def of(cls, settings: Settings) -> "VariantWriter | None":
        """Return the writer of this installation, None when there is none.

        The operator names it and no tenant can, so it may be on this machine; anywhere else it must be public.
        """
        if settings.variant_writer_url is None:
            return None
        key = settings.variant_writer_key
        way = Egress(allow_loopback=True, limits=LIMITS)
        return cls(settings.variant_writer_url, key.get_secret_value() if key is not None else None, way)

    def generate(self, brief: Brief) -> Sequence[Variant]:
        """Return what the writer makes of a brief.

        Raises:
            WriterUnavailable: no well-formed answer could be had.
        """
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        body = json.dumps(brief.model_dump(mode="json", by_alias=True)).encode()
        try:
            answer = self._egress.post(self._url, body, headers)
        except (Forbidden, Unreachable) as error:
            raise WriterUnavailable(f"the writer cannot be asked: {error}") from None
        if answer.status != _OK or answer.is_cut:
            raise WriterUnavailable(f"the writer answers {answer.status}{' and too much' if answer.is_cut else ''}")
        return [
            Variant(id=each.id, features=each.features, content=each.content, translations=each.translations)
            for each in _read(answer.body)
        ]


def _read(body: bytes) -> tuple[_Written, ...]:
    try:
        return _Answer.model_validate(strict_json.loads(body, max_bytes=LIMITS.answer_bytes)).variants
    except StrictJsonError as error:
        raise WriterUnavailable(f"the writer answers no JSON we read: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part)[:40] for part in first["loc"])
        raise WriterUnavailable(f"the writer answers {place} that is not as expected: {first['type']}") from None

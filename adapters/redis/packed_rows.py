"""Feature rows as bytes: one value in Redis for all features of a recipient and view, with a bit for each missing one.

One field of 153 takes Redis and Python a hundredth of 153 fields. A row names its layout by digest, so a reader with
other columns still finds those it knows by name. Nothing here is code: a row that does not fit its layout is refused.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

_DIGEST_BYTES = 8
_WIDTH = 8
_LENGTH = 4


class BadRow(ValueError):
    """Bytes that are no row of the layout they name."""


class Kind(StrEnum):
    """What a column holds; a moment is in whole seconds, UTC."""

    INT = "int"
    FLOAT = "float"
    MOMENT = "moment"
    TEXT = "text"


@dataclass(frozen=True)
class Layout:
    """The columns of a view, in order."""

    columns: tuple[tuple[str, Kind], ...]

    @classmethod
    def from_json(cls, text: bytes) -> "Layout":
        """Return the layout that was written down.

        Raises:
            BadRow: it is none.
        """
        try:
            return cls(tuple((str(name), Kind(kind)) for name, kind in json.loads(text)))
        except (ValueError, TypeError) as error:
            raise BadRow("a layout of feature rows cannot be read") from error

    @cached_property
    def json(self) -> bytes:
        """The layout, written down."""
        return json.dumps(self.columns, separators=(",", ":")).encode()

    @cached_property
    def digest(self) -> bytes:
        """What rows call this layout, 8 bytes."""
        return hashlib.sha256(self.json).digest()[:_DIGEST_BYTES]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(name for name, _ in self.columns)

    @cached_property
    def texts(self) -> tuple[int, ...]:
        """Places of the columns that are text."""
        return tuple(place for place, (_, kind) in enumerate(self.columns) if kind is Kind.TEXT)

    @cached_property
    def bitmap_bytes(self) -> int:
        """Bytes of the bits that say which values are there."""
        return math.ceil(len(self.columns) / 8)


def pack(layout: Layout, table: pd.DataFrame) -> list[bytes]:
    """Return each row of a table as bytes; its columns are those of the layout, or more.

    Raises:
        KeyError: a column is missing.
    """
    present = table[list(layout.names)].notna().to_numpy(dtype=bool)
    numbers = np.zeros((len(table), len(layout.columns)), dtype="<i8")
    texts: dict[int, list[str]] = {}
    for place, (name, kind) in enumerate(layout.columns):
        if kind is Kind.TEXT:
            texts[place] = table[name].fillna("").tolist()
        else:
            numbers[:, place] = _numbers(table[name], kind)
    bits = np.packbits(present, axis=1)
    return [
        b"".join((layout.digest, bits[row].tobytes(), numbers[row].tobytes(), *_strings(texts, row)))
        for row in range(len(table))
    ]


def unpack(layout: Layout, row: bytes) -> list[Any]:
    """Return the values of a row in the layout's order, None for each that is missing.

    Raises:
        BadRow: the bytes are no row of this layout.
    """
    start = _DIGEST_BYTES + layout.bitmap_bytes
    end = start + _WIDTH * len(layout.columns)
    if row[:_DIGEST_BYTES] != layout.digest or len(row) < end:
        raise BadRow("a feature row is of another layout, or cut")
    present = np.unpackbits(np.frombuffer(row, np.uint8, layout.bitmap_bytes, _DIGEST_BYTES)).tolist()
    numbers: npt.NDArray[np.int64] = np.frombuffer(row, "<i8", len(layout.columns), start)
    integers, floats = numbers.tolist(), numbers.view("<f8").tolist()
    texts = dict(zip(layout.texts, _texts(row, end, len(layout.texts)), strict=True))
    values: list[Any] = []
    for place, (_, kind) in enumerate(layout.columns):
        if not present[place]:
            values.append(None)
        elif kind is Kind.INT:
            values.append(integers[place])
        elif kind is Kind.FLOAT:
            values.append(floats[place])
        else:
            values.append(texts[place] if kind is Kind.TEXT else datetime.fromtimestamp(integers[place], UTC))
    return values


def digest_of(row: bytes) -> bytes:
    """Return which layout a row names."""
    return row[:_DIGEST_BYTES]


def _numbers(column: pd.Series, kind: Kind) -> npt.NDArray[np.int64]:
    if kind is Kind.INT:
        return column.fillna(0).to_numpy(dtype="<i8")
    if kind is Kind.FLOAT:
        return column.astype("float64").fillna(0.0).to_numpy(dtype="<f8").view("<i8")
    seconds = pd.to_datetime(column, utc=True).astype("datetime64[s, UTC]").astype("int64").to_numpy()
    return np.where(column.isna().to_numpy(), 0, seconds)


def _strings(texts: Mapping[int, Sequence[str]], row: int) -> list[bytes]:
    parts = []
    for values in texts.values():
        encoded = values[row].encode()
        parts += [len(encoded).to_bytes(_LENGTH, "little"), encoded]
    return parts


def _texts(row: bytes, start: int, count: int) -> list[str]:
    found = []
    for _ in range(count):
        length = int.from_bytes(row[start : start + _LENGTH], "little")
        start += _LENGTH
        if start > len(row) or start + length > len(row):
            raise BadRow("a feature row is cut")
        found.append(_decoded(row[start : start + length]))
        start += length
    return found


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise BadRow("a feature row holds text that is none") from error

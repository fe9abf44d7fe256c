"""Tables of numbers with a header, as bytes: the same numbers give the same bytes, and nothing is lost on the way.

    magic, length of the header (8 bytes, little-endian), header (JSON), each table's float64 numbers, little-endian

It is data only: reading runs nothing.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from models.arm_draws import Floats

MAGIC = b"kairos.arrays/1\n"
_LENGTH = 8
_TABLES = "tables"


class BadPack(ValueError):
    """Bytes are no pack of this version, or were cut; says what is wrong."""


def pack(header: Mapping[str, Any], tables: Mapping[str, Floats]) -> bytes:
    """Return a header and tables as bytes.

    Args:
        header: JSON-ready; ``tables`` is taken.
        tables: float64, by name, of any shape.
    """
    shapes = {name: list(table.shape) for name, table in sorted(tables.items())}
    told = json.dumps({**header, _TABLES: shapes}, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    numbers = [np.ascontiguousarray(tables[name], dtype="<f8").tobytes() for name in shapes]
    return b"".join([MAGIC, len(told).to_bytes(_LENGTH, "little"), told, *numbers])


def unpack(body: bytes) -> tuple[dict[str, Any], dict[str, Floats]]:
    """Read what :func:`pack` wrote.

    Raises:
        BadPack: it is something else, or its length is not what its header says.
    """
    start = len(MAGIC) + _LENGTH
    if body[: len(MAGIC)] != MAGIC:
        raise BadPack(f"expected bytes that begin with {MAGIC!r}")
    end = start + int.from_bytes(body[len(MAGIC) : start], "little")
    try:
        header = json.loads(body[start:end])
        shapes = {str(name): tuple(map(int, shape)) for name, shape in header.pop(_TABLES).items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadPack("the header is no JSON object with the shapes of its tables") from None
    tables = {}
    for name, shape in shapes.items():
        size = int(np.prod(shape, dtype=np.int64)) * _LENGTH
        if size < 0 or end + size > len(body):
            raise BadPack(f"{name}: expected {size} bytes more than there are")
        tables[name] = np.frombuffer(body[end : end + size], dtype="<f8").reshape(shape).astype(np.float64)
        end += size
    if end != len(body):
        raise BadPack(f"expected {end} bytes, not {len(body)}")
    return header, tables

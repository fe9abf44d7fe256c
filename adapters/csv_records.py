"""CSV records that fail alone: a stray quote or a bad byte spoils its own line, not the rest of the file."""

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MOST_LINES = 100
MOST_BYTES = 64 * 1024
"""A quoted cell may run over several lines, but no further; then its first line is taken to be damaged."""


@dataclass(frozen=True)
class Record:
    """One record: the line it begins on, its bytes, and its cells or what was expected instead."""

    line: int
    raw: bytes
    cells: list[str] | None
    expected: str = ""


def records(file: BinaryIO, *, delimiter: str) -> Iterator[Record]:
    """Yield the records of a file, empty lines left out."""
    source = _Lines(file)
    while (first := source.take()) is not None:
        if first.strip(b"\r\n"):
            line = source.number
            yield _record(source, first, line, delimiter)


class _Lines:
    """Lines of a file that can be put back."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._waiting: deque[bytes] = deque()
        self._ended = 0
        self.number = 0

    def take(self) -> bytes | None:
        """Return the next line, or a part of one that is too long; None at the end."""
        line = self._waiting.popleft() if self._waiting else self._file.readline(MOST_BYTES)
        self.number = self._ended + 1
        self._ended += line.endswith(b"\n")
        return line or None

    def put_back(self, lines: list[bytes]) -> None:
        """Make these lines the next ones."""
        self._waiting.extendleft(reversed(lines))
        self._ended -= sum(line.endswith(b"\n") for line in lines)


def _record(source: _Lines, first: bytes, line: int, delimiter: str) -> Record:
    taken = [first]
    while True:
        raw = b"".join(taken)
        try:
            text = raw.decode("utf-8-sig" if line == 1 else "utf-8")
        except UnicodeDecodeError:
            source.put_back(taken[1:])
            return Record(line, first, None, "UTF-8")
        cells, problem = _cells(text, delimiter)
        if cells is not None:
            return Record(line, raw, cells)
        following = source.take() if problem == _OPEN and len(taken) < MOST_LINES and len(raw) < MOST_BYTES else None
        if following is None:
            source.put_back(taken[1:])
            return Record(line, first, None, "cells whose quotes are closed and followed by the delimiter")
        taken.append(following)


_OPEN = "unexpected end of data"


def _cells(text: str, delimiter: str) -> tuple[list[str] | None, str]:
    try:
        [cells] = csv.reader([text], delimiter=delimiter, strict=True)
    except csv.Error as error:
        return None, str(error)
    except ValueError:
        return None, "not one record"
    return cells, ""

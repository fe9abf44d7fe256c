"""Files with preferences of other systems, row by row: JSON lines or a JSON array, and CSV with a header."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class UnreadableFile(ValueError):
    """The file cannot be read at all; the text says what was expected."""


def rows(path: Path, source: str) -> Iterator[tuple[int, Any]]:
    """Yield every row with its position from 1; a line that is no JSON is yielded as text.

    Raises:
        UnreadableFile: there is no such file, it is not UTF-8, or a table has no column ``recipient_id``.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from enumerate(_table(file) if source == "csv" else _documents(file), start=1)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnreadableFile(f"{path} cannot be read: {error}") from None


def _table(file: Any) -> Iterator[Any]:
    reader = csv.DictReader(file, strict=True)
    if "recipient_id" not in (reader.fieldnames or ()):
        raise UnreadableFile("the table must have a header with a column recipient_id")
    yield from reader


def _documents(file: Any) -> Iterator[Any]:
    if _is_array(file):
        try:
            yield from json.load(file)
        except json.JSONDecodeError as error:
            raise UnreadableFile(f"the array is no JSON: {error}") from None
        return
    for line in file:
        if line.strip():
            yield _read(line)


def _is_array(file: Any) -> bool:
    start = file.tell()
    first = next((char for char in iter(lambda: file.read(1), "") if not char.isspace()), "")
    file.seek(start)
    return first == "["


def _read(line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return line

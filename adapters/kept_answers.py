"""Answers kept in memory for many owners under one limit in bytes; who holds most makes room first.

Within an owner the answer that was used longest ago leaves first. So nobody who asks for much can push out what others
use: they push out their own.
"""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Kept = TypeVar("Kept")


@dataclass
class _Shelf(Generic[Kept]):
    """What one owner holds, the answer that was used longest ago first, each with its size."""

    answers: OrderedDict[Hashable, tuple[Kept, int]] = field(default_factory=OrderedDict)
    size: int = 0


class KeptAnswers(Generic[Kept]):
    """Keeps answers; safe to share between threads."""

    def __init__(self, most_bytes: int) -> None:
        """Keep nothing yet.

        Args:
            most_bytes: of all owners together, as who puts an answer says its size.
        """
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._shelves: dict[str, _Shelf[Kept]] = {}
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes that are kept now."""
        return self._size

    def get(self, owner: str, key: Hashable) -> Kept | None:
        """Return an answer, which counts as used now; None where there is none."""
        with self._lock:
            shelf = self._shelves.get(owner)
            if shelf is None or key not in shelf.answers:
                return None
            shelf.answers.move_to_end(key)
            return shelf.answers[key][0]

    def put(self, owner: str, key: Hashable, answer: Kept, size: int) -> None:
        """Keep an answer instead of what was kept under its key, and make room for it."""
        with self._lock:
            self._take(owner, key)
            shelf = self._shelves.setdefault(owner, _Shelf())
            shelf.answers[key] = answer, size
            shelf.size += size
            self._size += size
            while self._size > self._most_bytes:
                self._relieve(max(self._shelves, key=lambda each: self._shelves[each].size))

    def remove(self, owner: str, key: Hashable) -> None:
        """Forget one answer."""
        with self._lock:
            self._take(owner, key)

    def drop(self, owner: str) -> None:
        """Forget every answer of an owner."""
        with self._lock:
            shelf = self._shelves.pop(owner, None)
            self._size -= shelf.size if shelf is not None else 0

    def _relieve(self, owner: str) -> None:
        shelf = self._shelves[owner]
        while shelf.answers and self._size > self._most_bytes:
            self._take(owner, next(iter(shelf.answers)))

    def _take(self, owner: str, key: Hashable) -> None:
        shelf = self._shelves.get(owner)
        if shelf is None or key not in shelf.answers:
            return
        _, size = shelf.answers.pop(key)
        shelf.size -= size
        self._size -= size
        if not shelf.answers:
            del self._shelves[owner]

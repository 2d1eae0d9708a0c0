"""The inbox: what the link's thread heard and the delivery has not taken yet; bounded, whatever a broker sends."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Final

INBOX_MAX: Final = 256
"""Receipts waiting to be heard; what more come are dropped, since what they settle is offered or asked about again."""

Heard = tuple[str, bytes, bool]
"""Topic, payload, and whether the broker had kept it."""


class Inbox:
    """Of receipts the first INBOX_MAX, of any other topic that is listened to the latest."""

    def __init__(self, receipts: str, topics: set[str]) -> None:
        """`receipts` is the topic of receipts, `topics` are the others."""
        self._receipts, self._topics = receipts, topics
        self._waiting: deque[Heard] = deque()
        self._latest: dict[str, tuple[bytes, bool]] = {}
        self._lock = threading.Lock()
        self.dropped = 0

    def put(self, topic: str, payload: bytes, retained: bool) -> None:
        """Keep a message; from the link's thread, never blocks."""
        if topic == self._receipts:
            # One thread puts and one takes: between the look and the step there is only more room.
            if len(self._waiting) >= INBOX_MAX:
                self.dropped += 1
            else:
                self._waiting.append((topic, payload, retained))
        elif topic in self._topics:
            with self._lock:
                self._latest.pop(topic, None)
                self._latest[topic] = payload, retained

    def latest(self) -> dict[str, tuple[bytes, bool]]:
        """Take the last message of each topic, in the order they came."""
        with self._lock:
            taken, self._latest = self._latest, {}
        return taken

    def receipts(self) -> Iterator[Heard]:
        """Take the receipts that wait, as many as are kept at most."""
        for _ in range(len(self._waiting)):
            yield self._waiting.popleft()

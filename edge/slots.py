"""Slots: drafts that wait for a shared commit, and what became of each."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from protocol.taps import Draft, TapId

log = logging.getLogger("k12edge.journal")

PASS_S: Final = 0.05
"""A step waits so long at most for the taps that came during the one before."""


@dataclass(slots=True)
class Slot:
    """A draft, what to do `then` once it is durable, and, when `done`, its name or its error."""

    draft: Draft
    then: Callable[[TapId], None] | None = None
    tap: TapId | None = None
    error: Exception | None = None
    done: bool = False


def take_all(waiting: deque[Slot]) -> list[Slot]:
    """Take out, one by one, those that wait: one that joins meanwhile is either taken too or left whole."""
    slots: list[Slot] = []
    with suppress(IndexError):
        while True:
            slots.append(waiting.popleft())
    return slots


class CommitLock:
    """Held by whoever uses the file. Taps take it as it comes; upkeep goes `behind` those that wait.

    A lock goes to the thread that is awake: between two steps of upkeep that is upkeep's own.
    """

    def __init__(self, waiting: deque[Slot]) -> None:
        """`waiting`: the slots of taps that want it."""
        self._waiting, self._lock = waiting, threading.Lock()

    def __enter__(self) -> None:
        """As it comes."""
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        """The next one's."""
        self._lock.release()

    @contextmanager
    def behind(self) -> Iterator[None]:
        """After the taps that wait, or after PASS_S of them; asked anew each ms, so that no tap has to tell it."""
        until_s = time.monotonic() + PASS_S
        while self._waiting and time.monotonic() < until_s:
            time.sleep(0.001)
        with self._lock:
            yield


def fail(slots: Iterable[Slot], error: Exception) -> None:
    """None of them was stored; one that has failed by itself keeps its own error."""
    for slot in slots:
        slot.error = slot.error or error


def tell(slots: Iterable[Slot]) -> None:
    """Do what was to be done for each that was committed, whatever becomes of the others."""
    for slot in slots:
        if slot.then is None or slot.tap is None:
            continue
        try:
            slot.then(slot.tap)
        except Exception:
            log.exception("record %s is stored, and could not be shown", slot.tap)

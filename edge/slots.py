"""Slots: drafts that wait for a shared commit, and what became of each."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
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


def let_pass(waiting: deque[Slot]) -> None:
    """Whoever works in steps lets those that wait go first: a lock goes to the thread that is awake, which is ours."""
    until_s = time.monotonic() + PASS_S
    while waiting and time.monotonic() < until_s:
        time.sleep(0.001)


def fail(slots: Iterable[Slot], error: Exception) -> None:
    """None of them was stored; one that has failed by itself keeps its own error."""
    for slot in slots:
        slot.error = slot.error or error


def tell(slots: Iterable[Slot]) -> None:
    """Do what was to be done for each that was committed, whatever becomes of the others."""
    for slot in slots:
        if slot.then is None or slot.error is not None or slot.tap is None:
            continue
        try:
            slot.then(slot.tap)
        except Exception:
            log.exception("record %s is stored, and could not be shown", slot.tap)
